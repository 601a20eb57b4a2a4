"""What the tests of `mirrorfleet import` share."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet import importing
from mirrorfleet.importing import Import
from mirrorfleet.importing.documents import read_json, read_yaml
from mirrorfleet.importing.nodes import Node, Trees
from mirrorfleet.importing.proof import mistakes
from mirrorfleet.importing.sources import Sources


def imported(directory: Path, *paths: str | Path, **answers: object) -> Import:
    """Import files of a directory."""
    return importing.run(
        [str(directory / path) for path in paths],
        name="imported",
        target=directory / "fleet.yml",
        answers=[(key.replace("__", "."), value) for key, value in answers.items()],
    )


def fates(result: Import, fate: str) -> dict[str, str]:
    """Return the reason of each value with a fate, by its key in the input."""
    return {entry.place: entry.reason for entry in result.entries if entry.fate == fate}


def leaves(path: Path) -> int:
    """Count the values of a file, apart from the importer."""
    sources = Sources()
    sources.add(str(path))
    return sum(len(list(source.tree.leaves())) for source in sources.found)


__all__ = ["Node", "Trees", "fates", "imported", "leaves", "mistakes", "read_json", "read_yaml"]
