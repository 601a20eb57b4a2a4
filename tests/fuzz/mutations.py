"""Changes of YAML files and key files, by a seed: as text, and as data."""

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
    *("`id`", "'", '"', "\\", "../../..", "/dev/zero", "/dev/full", "/proc/self/mem", "~nobody/x"),
    *(".", "/", "a\0b", "a\nb", "a\rb", "\ttab", "\x1b[2J", "\u202e", "\u2028", "\ud800", "é"),
    *("日本", "😀", "[x]", "::error::x", "-oProxyCommand=id", "--help", "localhost", "0.0.0.0"),
    *("::", "fe80::1%eth0", "10.0.0.0/8", "http://", "https://user:pass@example.com/v1"),
    *("coder", "gpu", "gw", "dev"),
]
"""What stands in the place of a word."""

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63, 10**30, 1.5, float("inf"), float("nan"), [], {}),
    *([[]], [{}], {"": ""}, {"env": "X"}, {"file": "/dev/zero"}, {"command": "true"}, [None]),
    *({"labels": []}, {"a": {"b": {"c": {}}}}, ["gpu", "gpu"], {"<<": {"a": 1}}, {"{x}": "{y}"}),
]


def text(content: str, chance: random.Random) -> bytes:
    """Return a text with a few changes that a slip of the hand or a broken disk makes."""
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
"""Values by the key that they stand at, from all files."""


def donors(contents: Iterable[str]) -> Donors:
    """Collect what can stand at which key: with it, more mutants have the right shape."""
    found: Donors = {}
    for content in contents:
        try:
            _give(yaml.safe_load(content), found)
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
    return found


def _give(said: Any, found: Donors) -> None:
    if isinstance(said, dict):
        for name, value in said.items():
            found.setdefault(str(name), []).append(value)
            _give(value, found)
    elif isinstance(said, list):
        for value in said:
            _give(value, found)


def data(content: str, chance: random.Random, given: Donors) -> bytes:
    """Return a file whose values and keys were changed, and which is YAML all the same."""
    try:
        said = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError):
        return text(content, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        said = _changed(copy.deepcopy(said), chance, given if chance.random() < 0.7 else {})
    try:
        return yaml.safe_dump(said, sort_keys=False).encode()
    except (yaml.YAMLError, UnicodeEncodeError):
        return text(content, chance)


def _changed(said: Any, chance: random.Random, given: Donors) -> Any:
    """Walk down some way, and remove, replace, rename or add what is there."""
    if not isinstance(said, dict | list) or not said:
        return _other(chance)
    at = chance.choice(list(said) if isinstance(said, dict) else range(len(said)))
    if isinstance(said[at], dict | list) and said[at] and chance.random() < 0.8:
        said[at] = _changed(said[at], chance, given)
        return said
    if at in given:
        said[at] = copy.deepcopy(chance.choice(given[at]))
        return said
    match chance.randrange(5):
        case 0:
            del said[at]
        case 1 if isinstance(said, dict):
            said[chance.choice(WORDS)] = said.pop(at)
        case 2 if isinstance(said, dict):
            said[chance.choice(WORDS)] = _other(chance)
        case 2 if isinstance(said, list):
            said.append(_other(chance))
        case _:
            said[at] = _other(chance)
    return said


def _other(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(VALUES) if chance.random() < 0.4 else chance.choice(WORDS))
