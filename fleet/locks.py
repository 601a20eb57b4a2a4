"""Lock files as text: what they pin, and what was recorded when they were made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

WITHOUT_COOLDOWN = "# Without the cooldown"
"""How a lock file begins that was made in an emergency; packages, date and reason follow."""

NPM_WITHOUT_COOLDOWN = "without_cooldown"
"""The key that tells the same in a lock file of npm packages, which is JSON."""

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")


def pins(text: str) -> Iterator[tuple[str, str]]:
    """Yield each package that a lock file pins, as its index spells it, and the version."""
    for line in text.splitlines():
        if "==" in line and (pin := _PIN.match(line)):  # most lines are hashes
            yield re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2]


def emergency(text: str) -> str | None:
    """Return why, when and for what a lock file was made without the cooldown, if it was."""
    if text.startswith("{"):
        said: str | None = json.loads(text).get(NPM_WITHOUT_COOLDOWN)
        return said
    first = text.partition("\n")[0]
    if not first.startswith(WITHOUT_COOLDOWN):
        return None
    return first.removeprefix(WITHOUT_COOLDOWN).strip()
