"""Readable differences between two texts, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.runtime.secrets import revealed

HIDDEN = "(hidden)"

# The values of former keys, and of keys that other programs wrote, are unknown here: their names
# identify them. A reference to the environment and a number of tokens are not secret.
_SECRETIVE = re.compile(
    r"((?:key(?!s)|token(?!s)|secret|passw|credential|authorization|sha256)[\w-]*[\"']?\s*[:=]\s*)"
    r"(?!os\.environ/)\S.*",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(://)[^/@\s]+@")


def difference(before: str, after: str, values_hidden: bool) -> Iterator[str]:
    """Yield the lines of a unified diff, coloured as pyinfra colours its own.

    With ``values_hidden``, the texts are lines of NAME=value, and only the names are shown.
    """
    from pyinfra.operations.util.files import generate_color_diff  # slow to import, rarely needed

    hide = _only_name if values_hidden else _without_secrets
    old = {line: hide(line) for line in before.splitlines()}

    def shown(line: str) -> str:
        """Return the line without secrets; mark a secret that differs from the old one."""
        hidden = hide(line)
        alike = line not in old and hidden != line and hidden in old.values()
        return f"{hidden} (changed)" if alike else hidden

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
