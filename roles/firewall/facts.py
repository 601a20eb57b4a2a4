"""Facts for the firewall: the loaded table, and routes to engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines, last

SHELL = Path(__file__).parent / "files" / "facts.sh"


@dataclass(frozen=True)
class Table(Fact[str | None]):
    """A digest of a loaded nftables table; ``None`` if it is not loaded."""

    name: str

    function = "table"
    shell = (SHELL,)

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Route(Fact[str | None]):
    """The host's source address for connections to an address; ``None`` without a route."""

    address: str

    function = "route"
    shell = (SHELL,)

    def value(self, lines: Lines) -> str | None:
        return last(lines)
