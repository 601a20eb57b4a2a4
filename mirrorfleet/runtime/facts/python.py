"""Facts about a host's Python and the environments that stand on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines, last, pairs

SHELL = Path(__file__).parent / "python.sh"


@dataclass(frozen=True)
class Python(Fact[str | None]):
    """The version of a Python, like "3.11.2"; ``None`` where the host has none."""

    program: str = "python3"

    function = "python"
    shell = (SHELL,)

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Environments(Fact[Mapping[str, str]]):
    """The Python environments that are whole, of those in a directory and its successors (-2, -3):
    each with the first path in it that somebody else changed, or "".

    Ask for `Python` before it: an environment of another Python counts as none.
    """

    directory: str

    function = "environment"
    shell = (SHELL,)

    def value(self, lines: Lines) -> Mapping[str, str]:
        return dict(pairs(lines))
