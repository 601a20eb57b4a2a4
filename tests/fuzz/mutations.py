"""Random changes of YAML files and key files, as text and as data."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from typing import Any

import yaml

WORDS = [
    *("", " ", "~", "null", "yes", "2026-01-01", "12:30:45", "0x1f", "0o17", "1e400", ".inf"),
    *(".nan", "-1", "0", "65536", "1_000", "9" * 400, "a" * 70, "x" * 5000, "*", "&a", "<<"),
    *("!!binary x", "!!timestamp x", "!!int x", "!!float ''", "!!bool x", "!!set {a}"),
    *("!!python/name:os.x x", "{x}", "{user}", "{0}", "{", "}", "{}", "%s", "$HOME", "$(id)"),
    *("`id`", "'", '"', "\\", "../../..", "/dev/zero", "/dev/full", "/proc/self/mem", "~nouser/x"),
    *(".", "/", "a\0b", "a\nb", "a\rb", "\ttab", "\x1b[2J", "\u202e", "\u2028", "\ud800", "é"),
    *("日本", "😀", "[x]", "::error::x", "-oProxyCommand=id", "--help", "localhost", "0.0.0.0"),
    *("::", "fe80::1%eth0", "10.0.0.0/8", "http://", "https://user:pass@example.com/v1"),
    *("coder", "gpu", "gw", "dev"),
]
"""Words that replace a word."""

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63, 10**30, 1.5, float("inf"), float("nan"), [], {}),
    *([[]], [{}], {"": ""}, {"env": "X"}, {"file": "/dev/zero"}, {"command": "true"}, [None]),
    *({"labels": []}, {"a": {"b": {"c": {}}}}, ["gpu", "gpu"], {"<<": {"a": 1}}, {"{x}": "{y}"}),
]


def text(content: str, chance: random.Random) -> bytes:
    """Return a text with a few changes, as by a typing error or a damaged disk."""
    found = content
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        found = chance.choice(TEXTUAL)(found, chance)
    raw = found.encode("utf-8", "surrogatepass")
    if chance.random() < 0.05 and raw:
        at = chance.randrange(len(raw))
        raw = raw[:at] + bytes([chance.randrange(256)]) + raw[at + chance.randint(0, 1) :]
    return raw


def _line(content: str, chance: random.Random) -> tuple[list[str], int]:
    lines = content.split("\n")
    return lines, chance.randrange(len(lines))


def _drop(content: str, chance: random.Random) -> str:
    lines, at = _line(content, chance)
    return "\n".join(lines[:at] + lines[at + 1 :])


def _double(content: str, chance: random.Random) -> str:
    lines, at = _line(content, chance)
    return "\n".join([*lines[:at], lines[at], *lines[at:]])


def _indent(content: str, chance: random.Random) -> str:
    lines, at = _line(content, chance)
    lines[at] = chance.choice([" ", "  ", "\t", "- "]) + lines[at]
    return "\n".join(lines)


def _outdent(content: str, chance: random.Random) -> str:
    lines, at = _line(content, chance)
    lines[at] = lines[at].lstrip()
    return "\n".join(lines)


def _word(content: str, chance: random.Random) -> str:
    """Put another value after a colon, or another name before it."""
    lines, at = _line(content, chance)
    name, colon, value = lines[at].partition(":")
    word = chance.choice(WORDS)
    lines[at] = f"{name}{colon} {word}" if chance.random() < 0.7 else f"{word}{colon}{value}"
    return "\n".join(lines)


def _cut(content: str, chance: random.Random) -> str:
    return content[: chance.randint(0, len(content))]


def _insert(content: str, chance: random.Random) -> str:
    at = chance.randint(0, len(content))
    put: str = chance.choice([*WORDS, *"{}[]:,#&*!|>?'\"%@`-\n\t"])
    return content[:at] + put + content[at:]


def _remove(content: str, chance: random.Random) -> str:
    at = chance.randint(0, len(content))
    return content[:at] + content[at + chance.randint(1, 6) :]


TEXTUAL = (_drop, _double, _indent, _outdent, _word, _word, _cut, _insert, _insert, _remove)


Donors = dict[str, list[Any]]
"""Values by their key, from all files."""


def donors(contents: Iterable[str]) -> Donors:
    """Collect the values of each key; with these, more mutants are valid."""
    found: Donors = {}
    for content in contents:
        try:
            _collect(yaml.safe_load(content), found)
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
    return found


def _collect(node: Any, found: Donors) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            found.setdefault(str(name), []).append(value)
            _collect(value, found)
    elif isinstance(node, list):
        for value in node:
            _collect(value, found)


def data(content: str, chance: random.Random, donated: Donors) -> bytes:
    """Return a file with changed values and keys that is still YAML."""
    try:
        node = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError):
        return text(content, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        node = _changed(copy.deepcopy(node), chance, donated if chance.random() < 0.7 else {})
    try:
        return yaml.safe_dump(node, sort_keys=False).encode()
    except (yaml.YAMLError, UnicodeEncodeError):
        return text(content, chance)


def _changed(node: Any, chance: random.Random, donated: Donors) -> Any:
    """Descend to a random node, and remove, replace, rename or add an entry."""
    if not isinstance(node, dict | list) or not node:
        return _other(chance)
    at = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
    if isinstance(node[at], dict | list) and node[at] and chance.random() < 0.8:
        node[at] = _changed(node[at], chance, donated)
        return node
    if at in donated:
        node[at] = copy.deepcopy(chance.choice(donated[at]))
        return node
    match chance.randrange(5):
        case 0:
            del node[at]
        case 1 if isinstance(node, dict):
            node[chance.choice(WORDS)] = node.pop(at)
        case 2 if isinstance(node, dict):
            node[chance.choice(WORDS)] = _other(chance)
        case 2 if isinstance(node, list):
            node.append(_other(chance))
        case _:
            node[at] = _other(chance)
    return node


def _other(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(VALUES) if chance.random() < 0.4 else chance.choice(WORDS))
