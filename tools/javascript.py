"""Minified JavaScript, cut into calls, arguments and expressions: as much as schemas need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

CALL = re.compile(r"([A-Za-z_$][\w$]*)\(")


@cache
def split(said: str) -> list[str]:
    """Split a list of arguments, of items or of properties."""
    parts, start = [], 0
    for at, char, depth in _code(said):
        if char == "," and depth == 0:
            parts.append(said[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, said[start:]] if part.strip()]


def chain(said: str) -> tuple[str, str, list[str]] | None:
    """Read ``name(arguments).method(…).method(…)`` as name, arguments and methods."""
    found = CALL.match(said)
    if not found:
        return None
    given, at = "", found.end() - 1
    methods: list[str] = []
    while True:
        inside = within(said, at + 1)
        given = given if methods else inside
        at += len(inside) + 2
        method = re.compile(r"\.([A-Za-z]\w*)\(").match(said, at)
        if not method:
            return found[1], given, methods
        methods.append(method[1])
        at = method.end() - 1


def within(said: str, start: int) -> str:
    """Return the code from here to the bracket that closes it."""
    for at, _, depth in _code(said, start):
        if depth < 0:
            return said[start:at]
    return said[start:]


def expression(said: str, start: int) -> str:
    """Return the code from here to the bracket, the comma or the semicolon that ends it."""
    for at, char, depth in _code(said, start):
        if depth < 0 or (char in ",;" and depth == 0):
            return said[start:at]
    return said[start:]


def _code(said: str, start: int = 0) -> Iterator[tuple[int, str, int]]:
    """Yield each character that is code, not text, with the brackets that are open around it."""
    depth, at, before = 0, start, ","
    while at < len(said):
        char = said[at]
        if char in "\"'`" or (char == "/" and before in "(,=:[!&|?{};"):
            at = _closed(said, at)
            before = '"'
            continue
        depth += (char in "([{") - (char in ")]}")
        yield at, char, depth
        if depth < 0:
            return
        before = char
        at += 1


def _closed(said: str, start: int) -> int:
    """Return where a text or a regular expression ends."""
    quote, at, listed = said[start], start + 1, False
    while at < len(said):
        char = said[at]
        if char == "\\":
            at += 1
        elif quote == "/" and char in "[]":
            listed = char == "["
        elif char == quote and not listed:
            return at + 1
        at += 1
    return at
