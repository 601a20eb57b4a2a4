"""YAML files as trees of nodes, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from mirrorfleet.config import reading
from mirrorfleet.config.problems import FleetError, Key, Place, Problem, did_you_mean

# libyaml is ten times faster. PyYAML without it gives the same result.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

LARGEST = 1_000_000
"""Most values of a fleet with its includes: 60,000 hosts have 250,000. Nested aliases can expand a
short file until it fills the memory."""


WAYS = (frozenset({"env", "file", "command"}), frozenset({"push", "path"}))
"""Mappings with one key of several alternatives: such a mapping overrides another as a whole."""


DEEPEST = 100
"""Most levels of nested mappings and lists; a fleet has six."""


UNSOUND = object()
"""Placeholder of an invalid value, so that the rest of the file is still read."""


@dataclass(frozen=True)
class Node:
    """A value and its place: a ``dict`` or ``list`` of nodes, a plain scalar, or ``UNSOUND``.

    ``covers`` is true if it overrides the value of another file.
    """

    value: Any
    place: Place
    covers: bool = False


@dataclass(frozen=True)
class Parsed:
    """The tree of one file, its problems, and its number of values."""

    tree: Node
    problems: tuple[Problem, ...] = ()
    size: int = 0


def parse(path: Path, room: int = LARGEST) -> Parsed:
    """Parse a YAML file of at most ``room`` values.

    Duplicate keys, dates and other invalid values are problems; the rest is still read. Raises
    ``FleetError`` if the file cannot be read, is not YAML, or is too large or too deeply nested.
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
        raise FleetError([Problem(Place(str(path), 0), (), error.mistake, _other(path))]) from None
    except reading.Unreadable as error:
        raise FleetError([Problem(Place(str(path), 0), (), error.mistake, error.remedy)]) from None
    except yaml.YAMLError as error:
        raise FleetError([_not_yaml(path, text, error)]) from None
    return Parsed(tree, tuple(builder.problems), builder.count)


def _other(path: Path) -> str:
    """Return the file that is meant by a missing one: below inventories/, or of a similar name."""
    below = path.parent / "inventories" / path.name
    if below.is_file():
        return f"Did you mean '{below}'?"
    similar = did_you_mean(path.name, _beside(path), listed=False)
    return similar or "Correct the name, or write a first fleet file: mirrorfleet init."


def _beside(path: Path) -> list[str]:
    """Return the names of the YAML files in the directory of a missing one."""
    try:
        return [each.name for each in path.parent.iterdir() if each.suffix in (".yml", ".yaml")]
    except OSError:
        return []


def overlay(under: Node, over: Node) -> Node:
    """Merge one tree over another.

    Mappings are merged key by key. Any other value of ``over`` replaces that of ``under``, and
    null removes it.
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
    """Return whether this is a mapping with one of these keys and a string as its value."""
    words = [each.value for each in node.value.values()]
    return ways.issuperset(node.value) and len(words) == 1 and isinstance(words[0], str)


def _measure(text: str, start: Place, room: int) -> None:
    """Refuse nesting that would overflow libyaml's stack, and more values than fit into memory."""
    depth = count = 0
    for event in yaml.parse(text, Loader):
        count += isinstance(event, yaml.NodeEvent)
        if count > 2 * room:  # half of them may be keys
            raise _too_many(start)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise FleetError([Problem(start, (), f"is nested over {DEEPEST} levels deep.")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _plain_number(written: str, value: float) -> bool:
    """Return whether a number is in plain digits: not octal, sexagesimal, infinite or very long."""
    return isinstance(value, bool) or (
        re.fullmatch(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?", written) is not None and len(written) < 16
    )


def _not_yaml(path: Path, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    remedy = next((each for words, each in REMEDIES.items() if words in what), "")
    # A character that YAML does not allow has no mark, only a byte position.
    before = text.encode()[: getattr(error, "position", 0)]
    line = mark.line + 1 if mark else before.count(b"\n") + 1
    return Problem(Place(str(path), line), (), f"{what.removeprefix('but ')}.", remedy)


# PyYAML's words for frequent mistakes, and the usual fix.
REMEDIES = {
    "control characters are not allowed": "Remove the character.",
    "cannot start any token": "Indent with spaces, not tabs, and quote a string that begins with "
    "@ or `.",
    "found a tab character": "Indent with spaces, not tabs.",
    "undefined alias": "Quote a string that begins with *.",
    "mapping values are not allowed": "Check the indentation, and quote a string that contains "
    "a colon and a space.",
    "could not find expected ':'": "Write a colon and a space between a key and its value, here or "
    "on the line before.",
    "did not find expected": "Close the open brace, bracket or quotes on this line or before it, "
    "and check the indentation.",
    "while scanning a quoted scalar": "Close the quotes.",
    "found unexpected end of stream": "Close the quotes.",
    "found another document": "Remove the line ---: a fleet file is one document.",
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
"""Merged keys of a mapping by name: their place and their node."""


class _Builder:
    """Walks the nodes of PyYAML once, and collects trees and problems."""

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
            self._report(node, key, "is an alias of a value that contains it.", "Remove the alias.")
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
        """Return a string, a number, a boolean or ``None``; report any other YAML type."""
        if node.tag not in PLAIN:
            kind = KINDS.get(node.tag, f"the type {node.tag.removeprefix(YAML)}")
            # Anything but a date may be a secret.
            quoted = f": '{node.value}'" if node.tag == DATE else ""
            self._report(node, key, f"YAML reads this as {kind}.", f"Quote it{quoted}.")
            return UNSOUND
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, OverflowError):
            # A tag such as !!int before a word that is not an integer.
            self._report(node, key, "YAML cannot convert this value.", "Quote it.")
            return UNSOUND
        if isinstance(value, int | float) and not _plain_number(node.value, value):
            mistake = f"YAML reads this as the number {value!r:.20}."
            self._report(node, key, mistake, "Write plain digits, or quote it.")
            return UNSOUND
        return value

    def _pairs(self, node: yaml.MappingNode, key: Key) -> Iterator[tuple[str, Place, yaml.Node]]:
        """Yield name, place and value of each key. Keys merged by `<<: *base` come first, so that
        the mapping's own keys override them."""
        for name, (place, value) in self._merged(node, key, ()).items():
            yield name, place, value
        seen: set[str] = set()
        for name_node, value in node.value:
            name = name_node.value
            if name_node.tag == MERGE:
                continue
            if not isinstance(name_node, yaml.ScalarNode):
                self._report(
                    name_node, key, "has a key that is not a string.", "Use strings as keys."
                )
                continue
            if name in seen:
                self._report(name_node, (*key, name), "is a duplicate key.", "Keep one of the two.")
            seen.add(name)
            yield name, self._place(name_node), value

    def _merged(self, node: yaml.MappingNode, key: Key, inside: tuple[yaml.Node, ...]) -> _Merged:
        """Return the keys that `<<` merges into a mapping; nearer and earlier ones take precedence.

        Each name is kept once: PyYAML keeps all, and 30 mappings of two merges each would fill
        the memory.
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
                            base, key, "merges a value that is not a mapping.", "Write '<<: *NAME'."
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
