"""The table of keys in docs/contributing/structure.md names files of this tree."""

from __future__ import annotations

import re

from tests.docs.pages import DOCS, ROOT

LAYERS = {name: ROOT / "mirrorfleet" / name for name in ("config", "checks", "planning")}
FOLDERS = {**LAYERS, "roles": ROOT / "roles"}


def test_files_of_the_table_exist() -> None:
    page = (DOCS / "contributing/structure.md").read_text("utf-8")
    section = page.partition("## From a key to its code")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    header, _, *rows = [[re.findall(r"`([^`]+)`", cell) for cell in line] for line in lines]
    assert {name.rstrip("/") for cell in header for name in cell} == set(FOLDERS)
    named = [
        FOLDERS[column[0].rstrip("/")] / file
        for row in rows
        for column, cell in zip(header, row, strict=True)
        if column
        for file in cell
    ]
    assert len(named) > len(rows)
    assert [path for path in named if not path.exists()] == []
