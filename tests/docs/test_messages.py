"""The messages that a page quotes are those of the code.

A quote is the first cell of a table whose first column is called "message". `…` stands for what
differs. A message is a string of the code; values that it inserts match `…` and nothing else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, prose

ORDERED = "how-to/troubleshooting.md"
"""Its quotes are parts of one string each."""

ASSEMBLED = "how-to/failed-proof.md"
"""Its quotes are put together from several strings, for example by what an engine was asked."""

BOUNDARY = "…|, |(?<=refuses) | (?=the parser)"
"""Where such a quote may continue in another string."""

INSERTED = "\0"


def quotes(page: str) -> list[str]:
    """Return the messages that the tables of a page quote."""
    found, is_quoted = [], False
    for line in prose(DOCS / page).splitlines():
        if not line.startswith("|"):
            is_quoted = False
            continue
        first = line.split("|")[1].strip().replace("\\|", "|")
        if first == "message":
            is_quoted = True
        elif is_quoted:
            found += re.findall(r"`([^`]+)`", first)
    return found


@pytest.mark.parametrize("quote", quotes(ORDERED))
def test_a_quoted_message_is_in_the_code(quote: str) -> None:
    pattern = ".*".join(re.escape(part) for part in quote.split("…"))
    assert re.search(pattern, strings(), re.M), quote


@pytest.mark.parametrize("quote", quotes(ASSEMBLED))
def test_each_part_of_a_quoted_message_is_in_the_code(quote: str) -> None:
    parts = [part.strip(" '") for part in re.split(BOUNDARY, quote)]
    assert all(part in strings() for part in parts), quote


def test_another_message_is_not_found() -> None:
    """The search can fail: words of two messages, and a value in place of an inserted one."""
    assert not re.search("refuses the login of deploy", strings())
    assert not re.search("no host matches.*known_hosts", strings(), re.M)


@cache
def strings() -> str:
    """Return the strings of the code and of its scripts, one in a line."""
    found = [
        text
        for folder in ("mirrorfleet", "roles")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for text in _of_python(file)
    ]
    found += [
        line
        for folder in ("mirrorfleet", "roles")
        for file in sorted((ROOT / folder).rglob("*.sh"))
        for line in re.sub(r"\$\w+", INSERTED, file.read_text("utf-8")).splitlines()
    ]
    return "\n".join(found)


def _of_python(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text("utf-8"))
    nodes = list(ast.walk(tree))
    inner = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [
                str(part.value) if isinstance(part, ast.Constant) else INSERTED
                for part in node.values
            ]
            yield "".join(parts).replace("\n", " ")
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inner | docstrings
        ):
            yield node.value.replace("\n", " ")
