"""Files below users' homes, which may be hostile: read as the user, within limits."""

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

    Or why its content is not known: ``unreadable`` for the user itself, ``irregular``,
    ``oversized``, or ``slow`` where the home does not answer in time.
    """

    mode: str
    content: bytes


@dataclass(frozen=True)
class HomeFile(Fact[HomeFileState | None]):
    """A file below a user's home, by its path relative to the home; ``None`` where none is."""

    user: str
    path: str

    function = "home_file"
    shell = (SHELL,)

    def value(self, lines: Lines) -> HomeFileState | None:
        if not lines:
            return None
        try:  # the process that prints this is the user's: nothing it prints raises
            mode, content = lines[-1]
            if re.fullmatch("[0-7]{1,4}|irregular|oversized|slow", mode):
                return HomeFileState(mode, base64.b64decode(content, validate=True))
        except ValueError:
            pass
        return HomeFileState("unreadable", b"")
