"""What the firewall needs to know of a host: the table that is loaded, and ways to engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines, last

SHELL = Path(__file__).parent / "files" / "facts.sh"


@dataclass(frozen=True)
class Table(Fact[str | None]):
    """A digest of what a table of nftables holds; ``None`` where it is not loaded."""

    name: str

    function = "table"
    shell = (SHELL,)

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Route(Fact[str | None]):
    """The host's own address on the way to an address; ``None`` where it has no way."""

    address: str

    function = "route"
    shell = (SHELL,)

    def value(self, lines: Lines) -> str | None:
        return last(lines)
