"""The difference between two texts, for people to read: no secret is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.runtime.secrets import revealed

HIDDEN = "(hidden)"

# A key that was in use until now, or that another hand has written, is not known here by its value,
# but by its name. A reference to the environment is no secret, and counted tokens are none.
_SECRETIVE = re.compile(
    r"((?:key(?!s)|token(?!s)|secret|passw|credential|authorization|sha256)[\w-]*[\"']?\s*[:=]\s*)"
    r"(?!os\.environ/)\S.*",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(://)[^/@\s]+@")


def difference(before: str, after: str, values_hidden: bool) -> Iterator[str]:
    """Yield the lines of a unified diff, coloured as pyinfra colours its own.

    Of a file with ``values_hidden``, lines of NAME=value, only the names are shown.
    """
    from pyinfra.operations.util.files import generate_color_diff  # slow to import, rarely needed

    hide = _only_name if values_hidden else _without_secrets
    old = {line: hide(line) for line in before.splitlines()}

    def shown(line: str) -> str:
        """Of two hidden values, tell at least that they are two."""
        hidden = hide(line)
        alike = line not in old and hidden != line and hidden in old.values()
        return f"{hidden} (another one)" if alike else hidden

    yield from generate_color_diff(
        [old[line] for line in before.splitlines()], [shown(line) for line in after.splitlines()]
    )


def _only_name(line: str) -> str:
    name, equals, _ = line.partition("=")
    return f"{name}={HIDDEN}" if equals else HIDDEN


def _without_secrets(line: str) -> str:
    for secret in revealed():
        line = line.replace(secret, HIDDEN)
    return _LOGIN.sub(rf"\1{HIDDEN}@", _SECRETIVE.sub(rf"\1{HIDDEN}", line))
