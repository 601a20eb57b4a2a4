"""The pages of the documentation, their headings, links and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(DOCS.rglob("*.md")),
]

FENCE = re.compile(r'^( *)```(\w*)(?: title="([\w./-]+)")?\n(.*?)^\1```$', re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced code block: its ``text`` without the indent, and the line where it begins.

    ``title`` is the file that the reader saves it as; empty if there is none.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str = "") -> list[Block]:
    """Return the code blocks of a page, in one language or in all."""
    text = page.read_text("utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found[2],
            found[3] or "",
            re.sub(rf"^{found[1]}", "", found[4], flags=re.M),
        )
        for found in FENCE.finditer(text)
        if language in ("", found[2])
    ]


def every(language: str) -> list[Block]:
    """Return the code blocks of all pages in one language."""
    return [block for page in PAGES for block in blocks(page, language)]


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def headings(page: Path) -> Iterator[str]:
    """Yield the titles of a page."""
    for line in prose(page).splitlines():
        if found := re.match(r"#+ (.*)", line):
            yield found[1].replace("`", "")


def anchors(page: Path) -> set[str]:
    """Return what a link to a part of the page can name."""
    return {
        re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip())
        for title in headings(page)
    }


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and the anchor of each link and picture, except for links to other sites."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"\w+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor
