"""The fact about the database of LiteLLM's tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines, last


@dataclass(frozen=True)
class Database(Fact[str | None]):
    """The maximum number of connections of a database, and the record about its tables.

    ``None`` if the file with psql's ``settings`` does not have the ``digest``, or psql fails.
    """

    settings: str
    digest: str = field(default="", compare=False)

    function = "database"
    shell = (Path(__file__).parent / "files" / "database.sh",)

    def value(self, lines: Lines) -> str | None:
        return last(lines)
