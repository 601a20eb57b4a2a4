"""YAML files as trees of nodes, each of which knows the line that it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from mirrorfleet.config import reading
from mirrorfleet.config.problems import FleetError, Key, Place, Problem, did_you_mean

# libyaml reads ten times faster. A PyYAML without it reads the same.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

LARGEST = 1_000_000
"""Values of a fleet, with all that it includes: 60,000 hosts have 250,000. Aliases of aliases can
make a short file larger than any memory."""


WAYS = (frozenset({"env", "file", "command"}), frozenset({"push", "path"}))
"""Mappings that say one of several things: laid over another, they replace it."""


DEEPEST = 100
"""Levels of mappings and lists in each other; a fleet has six."""


UNSOUND = object()
"""Stands for what is written and is no value: a problem of its own, and all else is still read."""


@dataclass(frozen=True)
class Node:
    """A value and its place: a ``dict`` or ``list`` of nodes, a scalar as it is, or ``UNSOUND``.

    ``covers`` says that it is laid over the value of another file.
    """

    value: Any
    place: Place
    covers: bool = False


@dataclass(frozen=True)
class Parsed:
    """The tree of one file, what is wrong with it, and how many values it holds."""

    tree: Node
    problems: tuple[Problem, ...] = ()
    size: int = 0


def parse(path: Path, room: int = LARGEST) -> Parsed:
    """Parse a YAML file of no more than ``room`` values.

    Keys that are there twice, dates and the like are told, and the rest is read all the same.
    Raises ``FleetError`` when the file cannot be read, is not YAML, or is larger or deeper than any
    fleet.
    """
    start = Place(str(path), 1)
    try:
        text = reading.text(path)
        _measure(text, start, room)
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Parsed(Node({}, start))
        builder = _Builder(path, loader, room)
        tree = builder.build(node, (), ())
    except reading.Missing as error:
        remedy = did_you_mean(path.name, _beside(path), listed=False)
        raise FleetError([Problem(Place(str(path), 0), (), error.mistake, remedy)]) from None
    except reading.Unreadable as error:
        raise FleetError([Problem(Place(str(path), 0), (), error.mistake, error.remedy)]) from None
    except yaml.YAMLError as error:
        raise FleetError([_not_yaml(path, text, error)]) from None
    return Parsed(tree, tuple(builder.problems), builder.count)


def _beside(path: Path) -> list[str]:
    """Return the names of the YAML files where one was looked for."""
    try:
        return [each.name for each in path.parent.iterdir() if each.suffix in (".yml", ".yaml")]
    except OSError:
        return []


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


def _measure(text: str, start: Place, room: int) -> None:
    """Refuse what is nested too deeply for libyaml, which would fall off its stack, and what has
    too many values to be held in memory."""
    depth = count = 0
    for event in yaml.parse(text, Loader):
        count += isinstance(event, yaml.NodeEvent)
        if count > 2 * room:  # half of them may be keys
            raise _too_many(start)
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


def _not_yaml(path: Path, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    remedy = next((said for words, said in REMEDIES.items() if words in what), "")
    # A character that YAML does not allow has no mark, but a place among the bytes.
    before = text.encode()[: getattr(error, "position", 0)]
    line = mark.line + 1 if mark else before.count(b"\n") + 1
    return Problem(Place(str(path), line), (), f"{what.removeprefix('but ')}.", remedy)


# What PyYAML says of the mistakes that people make, and what is mostly behind it.
REMEDIES = {
    "control characters are not allowed": "Remove the character.",
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


def _too_many(place: Place) -> FleetError:
    return FleetError([Problem(place, (), f"has more than {LARGEST} values.", "Split the fleet.")])


YAML = "tag:yaml.org,2002:"

PLAIN = frozenset(f"{YAML}{kind}" for kind in ("str", "int", "float", "bool", "null"))

MERGE, DATE = f"{YAML}merge", f"{YAML}timestamp"

KINDS = {
    DATE: "a date",
    f"{YAML}binary": "binary data",
    f"{YAML}value": "a default value",
    MERGE: "a merge key",
}


_Merged = dict[str, tuple[Place, yaml.Node]]
"""What is merged into a mapping, by name: where it stands, and its node."""


class _Builder:
    """Walks the nodes of PyYAML once and collects trees and problems."""

    def __init__(self, path: Path, loader: Any, room: int) -> None:
        self.file = str(path)
        self.loader = loader
        self.room = room
        self.problems: list[Problem] = []
        self.merged: dict[int, _Merged] = {}
        self.count = 0

    def build(self, node: yaml.Node, key: Key, parents: tuple[yaml.Node, ...]) -> Node:
        place = self._place(node)
        self.count += 1
        if self.count > self.room:
            raise _too_many(place)
        if node in parents:
            self._report(node, key, "contains itself.", "Remove the alias.")
            return Node(UNSOUND, place)
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
        if node.tag not in PLAIN:
            kind = KINDS.get(node.tag, f"of the type {node.tag.removeprefix(YAML)}")
            # Anything but a date may be a secret.
            quoted = f": '{node.value}'" if node.tag == DATE else ""
            self._report(node, key, f"is read by YAML as {kind}.", f"Quote it{quoted}.")
            return UNSOUND
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, OverflowError):
            # A tag such as !!int before a word that is none.
            self._report(node, key, "cannot be read as a value.", "Quote it.")
            return UNSOUND
        if isinstance(value, int | float) and not _plain_number(node.value, value):
            said = f"is the number {value!r:.20} to YAML."
            self._report(node, key, said, "Write plain digits, or quote it.")
            return UNSOUND
        return value

    def _pairs(self, node: yaml.MappingNode, key: Key) -> Iterator[tuple[str, Place, yaml.Node]]:
        """Yield name, place and value of each key: what `<<: *base` merges first, so that the
        mapping's own keys win."""
        for name, (place, value) in self._merged(node, key, ()).items():
            yield name, place, value
        seen: set[str] = set()
        for name_node, value in node.value:
            name = name_node.value
            if name_node.tag == MERGE:
                continue
            if not isinstance(name_node, yaml.ScalarNode):
                self._report(name_node, key, "has a key that is not a word.", "Write plain keys.")
                continue
            if name in seen:
                self._report(name_node, (*key, name), "is said twice.", "Keep one of the two.")
            seen.add(name)
            yield name, self._place(name_node), value

    def _merged(self, node: yaml.MappingNode, key: Key, inside: tuple[yaml.Node, ...]) -> _Merged:
        """Return what the `<<` of a mapping merge into it, the nearer and the first ones winning.

        Each name is there once: PyYAML would keep all, and 30 mappings of two merges each would
        fill the memory.
        """
        if id(node) not in self.merged:
            found: _Merged = {}
            for name_node, value in node.value:
                if name_node.tag != MERGE:
                    continue
                bases = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for base in reversed(bases):
                    if not isinstance(base, yaml.MappingNode) or base in (*inside, node):
                        self._report(
                            base, key, "has a '<<' that merges no mapping.", "Write '<<: *NAME'."
                        )
                        continue
                    found |= self._merged(base, key, (*inside, node))
                    for inner, content in base.value:
                        if isinstance(inner, yaml.ScalarNode) and inner.tag != MERGE:
                            found[inner.value] = (self._place(inner), content)
            self.merged[id(node)] = found
        return self.merged[id(node)]

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)

    def _report(self, node: yaml.Node, key: Key, mistake: str, remedy: str = "") -> None:
        self.problems.append(Problem(self._place(node), key, mistake, remedy))
