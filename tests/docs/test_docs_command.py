"""`mirrorfleet docs` prints the pages of the package."""

from __future__ import annotations

import pytest

from mirrorfleet.cli.main import main
from tests.docs.pages import DOCS


def test_it_lists_every_page_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    pages = {str(each.relative_to(DOCS).with_suffix("")) for each in DOCS.glob("*/*.md")}
    assert set(listed) == pages


@pytest.mark.parametrize("name", ["database", "how-to/database", "docs/how-to/database.md"])
def test_a_page_has_several_names(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", name]) == 0
    assert capsys.readouterr().out == (DOCS / "how-to/database.md").read_text("utf-8")


def test_an_unknown_page_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "databse"]) == 1
    assert capsys.readouterr().err == "There is no page 'databse'. Did you mean 'database'?\n"
    assert main(["docs", "xyzzy"]) == 1
    assert "`mirrorfleet docs` lists the pages." in capsys.readouterr().err
