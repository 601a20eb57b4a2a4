"""The pictures of the documentation are what the code draws today.

MIRRORFLEET_UPDATE_GOLDEN=1 draws them again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.docs import diagrams, terminals
from tests.docs.pages import DOCS, PAGES, links

TERMINALS = {
    "check": terminals.check,
    "why": terminals.why,
    "verify": terminals.verify,
    "status": terminals.status,
}
ELSEWHERE = {"apply": "tests/roles/test_live.py"}
"""Pictures that need the stand-in hosts of another test."""

DIAGRAMS = {"topology": diagrams.topology, "run": diagrams.run}


@pytest.mark.parametrize("name", TERMINALS)
def test_a_terminal_shows_what_the_command_prints(name: str, tmp_path: Path) -> None:
    same(name, lambda: TERMINALS[name](tmp_path))


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_drawn_from_its_data(name: str) -> None:
    same(name, DIAGRAMS[name])


def test_each_picture_has_a_test() -> None:
    assert {each.stem for each in (DOCS / "images").iterdir()} == {
        *TERMINALS,
        *ELSEWHERE,
        *DIAGRAMS,
    }


def same(name: str, draw: Callable[[], str]) -> None:
    file = DOCS / f"images/{name}.svg"
    drawn = draw()
    if os.environ.get("MIRRORFLEET_UPDATE_GOLDEN"):
        file.write_text(drawn, "utf-8")
    assert drawn == file.read_text("utf-8")
    # No picture loads a font or a style from another server.
    addresses = [
        value for each in ElementTree.fromstring(drawn).iter() for value in each.attrib.values()
    ]
    assert not [each for each in addresses if each.startswith("http")]
    assert "url(http" not in drawn


def test_each_picture_is_on_a_page() -> None:
    shown = {path for page in PAGES for path, _ in links(page)}
    assert [
        each
        for each in DIAGRAMS | TERMINALS | ELSEWHERE
        if not any(path.endswith(f"/{each}.svg") for path in shown)
    ] == []
