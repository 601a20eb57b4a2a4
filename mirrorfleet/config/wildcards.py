"""Names of models with ``*``, which stand for every name of that form, as LiteLLM routes them."""

from __future__ import annotations

import re
from collections.abc import Iterable


def has_wildcard(name: str) -> bool:
    """Return whether a name stands for others."""
    return "*" in name


def matching(patterns: Iterable[str], name: str) -> str | None:
    """Return the pattern that LiteLLM chooses for a name: the longest one that fits."""
    found = [pattern for pattern in patterns if has_wildcard(pattern) and _match(pattern, name)]
    return max(found, key=len, default=None)


def filled(pattern: str, name: str, text: str) -> str:
    """Return a text with what each ``*`` of the pattern stands for in a name."""
    found = _match(pattern, name)
    for part in found.groups() if found else ():
        text = text.replace("*", part, 1)
    return text


def _match(pattern: str, name: str) -> re.Match[str] | None:
    return re.fullmatch("(.*)".join(map(re.escape, pattern.split("*"))), name)
