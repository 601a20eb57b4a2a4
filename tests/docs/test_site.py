"""The built site in a real browser: each page at the widths of a desk and of a telephone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser, needed

ROOT = Path(__file__).parents[2]

SIZES = ((1280, 900), (390, 844))

MEASURE = """(() => {
  const root = document.documentElement;
  const scrolls = (node) => {
    for (; node && node !== document.body; node = node.parentElement)
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(node).overflowX)) return true;
    return false;
  };
  const parts = document.querySelectorAll(".md-content pre, .md-content table, .md-content img");
  return {
    excess: root.scrollWidth - root.clientWidth,
    cut: [...parts].filter((each) => each.getBoundingClientRect().right > root.clientWidth + 1
      && !scrolls(each)).map((each) => each.tagName),
    missing: [...document.images].filter((each) => !each.complete || !each.naturalWidth)
      .map((each) => each.src),
    titles: document.querySelectorAll("h1").length,
  };
})()"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    config = (ROOT / "zensical.toml").read_text("utf-8")
    (directory / "zensical.toml").write_text(config)
    shutil.copytree(ROOT / "docs", directory / "docs")
    command = [str(ROOT / ".venv/bin/zensical"), "build"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory / ".site"


@needed
@pytest.mark.slow
def test_no_page_is_wider_than_the_window_or_lacks_a_picture(site: Path, tmp_path: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 80
    found: dict[str, Any] = {}
    with browser(tmp_path) as opened:
        page = opened.page()
        for path in pages:
            page.open(path.as_uri())
            for width, height in SIZES:
                page.resize(width, height)
                measured = page.evaluate(MEASURE)
                if measured != {"excess": 0, "cut": [], "missing": [], "titles": 1}:
                    found[f"{path.relative_to(site)} at {width}"] = measured
        assert not page.errors
        fetched = {url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))}
    assert not found
    assert not fetched
