"""A parser of minified JavaScript: the calls, arguments and expressions that schemas need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

CALL = re.compile(r"([A-Za-z_$][\w$]*)\(")


@cache
def split(code: str) -> list[str]:
    """Split a list of arguments, of items or of properties."""
    parts, start = [], 0
    for at, char, depth in _code(code):
        if char == "," and depth == 0:
            parts.append(code[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, code[start:]] if part.strip()]


def chain(code: str) -> tuple[str, str, list[str]] | None:
    """Read ``name(arguments).method(…).method(…)`` as name, arguments and methods."""
    found = CALL.match(code)
    if not found:
        return None
    arguments, at = "", found.end() - 1
    methods: list[str] = []
    while True:
        inside = within(code, at + 1)
        arguments = arguments if methods else inside
        at += len(inside) + 2
        method = re.compile(r"\.([A-Za-z]\w*)\(").match(code, at)
        if not method:
            return found[1], arguments, methods
        methods.append(method[1])
        at = method.end() - 1


def within(code: str, start: int) -> str:
    """Return the code from ``start`` to the closing bracket."""
    for at, _, depth in _code(code, start):
        if depth < 0:
            return code[start:at]
    return code[start:]


def expression(code: str, start: int) -> str:
    """Return the code from ``start`` to the bracket, comma or semicolon that ends it."""
    for at, char, depth in _code(code, start):
        if depth < 0 or (char in ",;" and depth == 0):
            return code[start:at]
    return code[start:]


def _code(code: str, start: int = 0) -> Iterator[tuple[int, str, int]]:
    """Yield the position, the character and the number of open brackets, outside of strings."""
    depth, at, before = 0, start, ","
    while at < len(code):
        char = code[at]
        if char in "\"'`" or (char == "/" and before in "(,=:[!&|?{};"):
            at = _closed(code, at)
            before = '"'
            continue
        depth += (char in "([{") - (char in ")]}")
        yield at, char, depth
        if depth < 0:
            return
        before = char
        at += 1


def _closed(code: str, start: int) -> int:
    """Return the position after a string or a regular expression."""
    quote, at, in_class = code[start], start + 1, False
    while at < len(code):
        char = code[at]
        if char == "\\":
            at += 1
        elif quote == "/" and char in "[]":
            in_class = char == "["
        elif char == quote and not in_class:
            return at + 1
        at += 1
    return at
