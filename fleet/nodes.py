"""YAML files as trees of nodes, each of which knows the line that it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

import yaml

from fleet.problems import FleetError, Key, Place, Problem

# libyaml reads ten times faster. A PyYAML without it reads the same.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

LARGEST = 200_000
"""Nodes of one file: aliases of aliases can make a short file larger than any memory."""


WAYS = (frozenset({"env", "file", "command"}), frozenset({"push", "path"}))
"""Mappings that say one of several things: laid over another, they replace it."""


DEEPEST = 100
"""Levels of mappings and lists in each other; a fleet has six."""


@dataclass(frozen=True)
class Node:
    """A value and its place: a ``dict`` or ``list`` of nodes, or a scalar as it is.

    ``covers`` says that it is laid over the value of another file.
    """

    value: Any
    place: Place
    covers: bool = False


def parse(path: Path) -> Node:
    """Parse a YAML file.

    Raises ``FleetError`` when the file cannot be read, is not YAML, repeats a key, holds anything
    but words as keys, contains itself, or is larger or deeper than any fleet.
    """
    start = Place(str(path), 1)
    try:
        text = path.read_text(encoding="utf-8")
        _measure(text, start)
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Node({}, start)
        builder = _Builder(path, loader)
        tree = builder.build(node, (), ())
    except OSError as error:
        raise FleetError([Problem(start, (), f"{error.strerror}.")]) from None
    except UnicodeDecodeError:
        raise FleetError([Problem(start, (), "is not UTF-8 text.")]) from None
    except yaml.YAMLError as error:
        raise FleetError([_not_yaml(path, error)]) from None
    if builder.problems:
        raise FleetError(builder.problems)
    return tree


def overlay(under: Node, over: Node) -> Node:
    """Lay one tree over another.

    Mappings are merged key by key; anything else that is said above replaces what is said below,
    and an empty value (null) takes away what is below.
    """
    if not isinstance(under.value, dict) or not isinstance(over.value, dict):
        return replace(over, covers=True)
    if any(_says_one(under, ways) and _says_one(over, ways) for ways in WAYS):
        return replace(over, covers=True)
    merged = dict(under.value)
    for name, node in over.value.items():
        if name in merged and node.value is None:
            del merged[name]
        else:
            merged[name] = overlay(merged[name], node) if name in merged else node
    return Node(merged, over.place, covers=True)


def _says_one(node: Node, ways: frozenset[str]) -> bool:
    """Is this a mapping that says one of several things in a word?"""
    words = [each.value for each in node.value.values()]
    return ways.issuperset(node.value) and len(words) == 1 and isinstance(words[0], str)


def _measure(text: str, start: Place) -> None:
    """Refuse what is nested too deeply for libyaml, which would fall off its stack."""
    depth = 0
    for event in yaml.parse(text, Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise FleetError([Problem(start, (), f"is nested more than {DEEPEST} deep.")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _plain_number(written: str, value: float) -> bool:
    """Is a number written as people do: not octal, sexagesimal or infinite, and of some size?"""
    return isinstance(value, bool) or (
        re.fullmatch(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?", written) is not None and len(written) < 16
    )


def _not_yaml(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    remedy = next((said for words, said in REMEDIES.items() if words in what), "")
    line = mark.line + 1 if mark else 1
    return Problem(Place(str(path), line), (), f"{what.removeprefix('but ')}.", remedy)


# What PyYAML says of the mistakes that people make, and what is mostly behind it.
REMEDIES = {
    "cannot start any token": "Indent with spaces, not tabs, and put a text that begins with @ or "
    "` in quotes.",
    "undefined alias": "Put a text that begins with * in quotes.",
    "mapping values are not allowed": "Check the indentation, and put a text that holds a colon "
    "and a space in quotes.",
    "could not find expected ':'": "Write a colon and a space between a key and its value, here or "
    "on the line before.",
    "did not find expected": "Close what is open on this line or before it: a brace, a bracket or "
    "quotes; and check the indentation.",
    "while scanning a quoted scalar": "Close the quotes.",
    "found unexpected end of stream": "Close the quotes.",
    "found another document": "Take the line --- out: a fleet file is one document.",
}


class _Builder:
    """Walks the nodes of PyYAML once and collects trees and problems."""

    def __init__(self, path: Path, loader: Any) -> None:
        self.file = str(path)
        self.loader = loader
        self.problems: list[Problem] = []
        self.count = 0

    def build(self, node: yaml.Node, key: Key, parents: tuple[yaml.Node, ...]) -> Node:
        place = self._place(node)
        self.count += 1
        if self.count > LARGEST:
            raise FleetError([Problem(place, key, f"is the {LARGEST}th value: too many.")])
        if node in parents:
            self._report(node, key, "contains itself.", "Remove the alias.")
            return Node(None, place)
        if isinstance(node, yaml.MappingNode):
            inner = (*parents, node)
            mapping = {}
            for name, at, value in self._pairs(node, key):
                tree = self.build(value, (*key, name), inner)
                mapping[name] = Node(tree.value, at)
            return Node(mapping, place)
        if isinstance(node, yaml.SequenceNode):
            inner = (*parents, node)
            items = [self.build(each, (*key, at), inner) for at, each in enumerate(node.value)]
            return Node(items, place)
        return Node(self._scalar(node, key), place)

    def _scalar(self, node: yaml.Node, key: Key) -> Any:
        """Return a word, a number, true, false or nothing; report what else YAML makes of words."""
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            self._report(node, key, "cannot be read as a value.", "Quote it.")
            return None
        if not isinstance(value, str | int | float | NoneType):
            self._report(
                node, key, f"is no word to YAML, but a {type(value).__name__}.", "Quote it."
            )
            return None
        if isinstance(value, int | float) and not _plain_number(node.value, value):
            said = f"is the number {value!r:.20} to YAML."
            self._report(node, key, said, "Write plain digits, or quote it.")
            return None
        return value

    def _pairs(self, node: yaml.MappingNode, key: Key) -> Iterator[tuple[str, Place, yaml.Node]]:
        own = {id(name) for name, _ in node.value}
        try:
            # `<<: *base` puts the merged keys first, so that the mapping's own keys win.
            self.loader.flatten_mapping(node)
        except yaml.YAMLError:
            self._report(node, key, "has a '<<' that merges no mapping.")
            return
        seen: set[str] = set()
        for name_node, value in node.value:
            name = name_node.value
            if not isinstance(name_node, yaml.ScalarNode):
                self._report(name_node, key, "has a key that is not a word.", "Write plain keys.")
                continue
            if id(name_node) in own:
                if name in seen:
                    self._report(name_node, (*key, name), "is said twice.", "Keep one of the two.")
                seen.add(name)
            yield name, self._place(name_node), value

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)

    def _report(self, node: yaml.Node, key: Key, mistake: str, remedy: str = "") -> None:
        self.problems.append(Problem(self._place(node), key, mistake, remedy))
