"""Links, the navigation, and the pages that messages name."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.cli.main import main
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links

CODE = ("mirrorfleet", "roles", "deploys", "schemas", "tests", "tools", "bin", "inventories")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {path}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {path}#{anchor}"
        # The site has no page for what is outside docs/.
        assert DOCS not in page.parents or DOCS in target.parents, f"{page.name}: {path}"


def test_the_navigation_names_each_page_once() -> None:
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    assert sorted(_named(navigation)) == [str(each.relative_to(DOCS)) for each in DOCS_PAGES]


DOCS_PAGES = sorted(DOCS.rglob("*.md"), key=lambda each: str(each.relative_to(DOCS)))


def _named(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for value in entry.values():
            yield from [value] if isinstance(value, str) else _named(value)


def test_pages_that_code_names_exist() -> None:
    named = grep(r"docs/[a-z/-]+\.md")
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_pages_and_headings_that_messages_name_exist(capsys: pytest.CaptureFixture[str]) -> None:
    named = grep(r"`mirrorfleet docs [a-z/-]+`(, [A-Z][a-zA-Z]+)?")
    assert named
    for each in named:
        command, _, heading = each.partition(", ")
        assert main(command.strip("`").split()[1:]) == 0, each
        assert re.search(rf"^#+ {heading}", capsys.readouterr().out, re.M), each


def grep(pattern: str) -> list[str]:
    """Return what matches in the code, once each."""
    command = ["git", "grep", "-hoE", pattern, "--", *CODE]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=120).stdout
    return sorted(set(found.splitlines()))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_without_another_server(tmp_path: Path) -> None:
    config = (ROOT / "zensical.toml").read_text("utf-8")
    (tmp_path / "zensical.toml").write_text(config)
    shutil.copytree(DOCS, tmp_path / "docs")
    command = [str(ROOT / ".venv/bin/zensical"), "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    built = sorted((tmp_path / ".site").rglob("*.html"))
    assert len(built) > len(DOCS_PAGES)
    for page in built:
        tags = re.findall(r"<(?:link|script|img|iframe)\b[^>]*>", page.read_text("utf-8"))
        assert not [tag for tag in tags if re.search(r"(?:src|href)=\"?(?:https?:)?//", tag)]
