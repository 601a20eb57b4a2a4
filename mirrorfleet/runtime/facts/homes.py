"""Facts about files in users' homes, which may be hostile: read as the user, within limits."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines

SHELL = Path(__file__).parent / "homes.sh"


@dataclass(frozen=True)
class HomeFileState:
    """A file of a user: its mode in octal, and its content.

    If the content is not known, the mode is the reason: ``unreadable`` for the user, ``irregular``,
    ``oversized``, or ``slow`` if the home does not answer in time.
    """

    mode: str
    content: bytes


LEFT = "left"
"""The mode in a line about files that a killed run left beside a file."""


@dataclass(frozen=True)
class HomeFile(Fact[HomeFileState | None]):
    """A file in a user's home, by its path relative to the home; ``None`` if it is missing."""

    user: str
    path: str

    function = "home_file"
    shell = (SHELL,)

    def value(self, lines: Lines) -> HomeFileState | None:
        lines = [line for line in lines if line[:1] != [LEFT]]
        if not lines:
            return None
        try:  # the user controls the process that prints this: it must not raise
            mode, content = lines[-1]
            if re.fullmatch("[0-7]{1,4}|irregular|oversized|slow", mode):
                return HomeFileState(mode, base64.b64decode(content, validate=True))
        except ValueError:
            pass
        return HomeFileState("unreadable", b"")


@dataclass(frozen=True)
class HomeLeftovers(Fact[bool]):
    """Whether a killed run left files beside a file in a user's home: they may have a key."""

    user: str
    path: str

    function = "home_file"
    shell = (SHELL,)

    def value(self, lines: Lines) -> bool:
        return any(line[:1] == [LEFT] for line in lines)
