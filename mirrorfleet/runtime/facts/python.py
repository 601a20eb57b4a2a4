"""Facts about a host's Python and its Python environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines, last, pairs

SHELL = Path(__file__).parent / "python.sh"


@dataclass(frozen=True)
class Python(Fact[str | None]):
    """The version of a Python, such as "3.11.2"; ``None`` if the host does not have it."""

    program: str = "python3"

    function = "python"
    shell = (SHELL,)

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Environments(Fact[Mapping[str, str]]):
    """The complete Python environments in a directory and its successors (-2, -3), by path.

    The value of each is the first path in it that another program changed, or "".

    Read `Python` before it: an environment of another Python does not count.
    """

    directory: str

    function = "environment"
    shell = (SHELL,)

    def value(self, lines: Lines) -> Mapping[str, str]:
        return dict(pairs(lines))
