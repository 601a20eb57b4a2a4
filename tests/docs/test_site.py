"""The built site in a real browser: each page at the widths of a desk and of a telephone."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.browser import browser, needed
from tests.waiting import until

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
    excess: Math.max(0, root.scrollWidth - root.clientWidth),
    cut: [...parts].filter((each) => each.getBoundingClientRect().right > root.clientWidth + 1
      && !scrolls(each)).map((each) => each.tagName),
    missing: [...document.images].filter((each) => !each.complete || !each.naturalWidth)
      .map((each) => each.src),
    titles: document.querySelectorAll("h1").length,
  };
})()"""


SHADOW = """(() => {
  const found = [];
  const walk = (root) => root.querySelectorAll("*").forEach((each) => {
    if (each.shadowRoot) walk(each.shadowRoot);
    if (root !== document && each.matches("SELECTOR")) found.push(each);
  });
  walk(document);
  return RESULT;
})()"""
"""The search is below a shadow root."""

FIELD = SHADOW.replace("SELECTOR", "input").replace("RESULT", "found.length")
RESULTS = SHADOW.replace("SELECTOR", "a").replace("RESULT", "found.map((each) => each.href)")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory during the block, and yield its URL: the search needs a server."""
    handler = partial(_Quiet, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
def test_pages_fit_the_window_and_have_their_pictures(site: Path, tmp_path: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 80
    found: dict[str, Any] = {}
    with served(site) as address, browser(tmp_path) as opened:
        page = opened.page()
        for path in pages:
            page.open(f"{address}/{path.relative_to(site)}")
            for width, height in SIZES:
                page.resize(width, height)
                measured = page.evaluate(MEASURE)
                if measured != {"excess": 0, "cut": [], "missing": [], "titles": 1}:
                    found[f"{path.relative_to(site)} at {width}"] = measured
        assert not page.errors
        own = (address, "data:", "blob:")
        assert not [url for url in page.requests if not url.startswith(own)]
    assert not found


@needed
@pytest.mark.slow
def test_the_search_finds_a_page(site: Path, tmp_path: Path) -> None:
    with served(site) as address, browser(tmp_path) as opened:
        page = opened.page()
        page.open(f"{address}/index.html")
        page.evaluate("document.querySelector('.md-search__button').click()")
        until(lambda: page.evaluate(FIELD), "the field of the search")
        page.send("Input.insertText", text="openbao")
        until(
            lambda: any("how-to/vaults.html" in each for each in page.evaluate(RESULTS)),
            "the page of OpenBao among the results",
        )
        assert not page.errors
