"""What LiteLLM's tables need to know of their database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines, last


@dataclass(frozen=True)
class Database(Fact[str | None]):
    """The number of connections that a database admits, and what was noted in it.

    ``None`` where the file of psql's ``settings`` does not have the ``digest``, or psql fails.
    """

    settings: str
    digest: str = field(default="", compare=False)

    function = "database"
    shell = (Path(__file__).parent / "files" / "database.sh",)

    def value(self, lines: Lines) -> str | None:
        return last(lines)
