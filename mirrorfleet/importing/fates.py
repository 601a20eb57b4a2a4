"""What becomes of each value of the input: exactly one fate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mirrorfleet.config.problems import Key, dotted
from mirrorfleet.importing.nodes import Node


class Fate(StrEnum):
    """The fates, in the order of the report."""

    TAKEN = "taken"
    FOLDED = "folded"
    DERIVED = "derived"
    SECRET = "secret"
    LEFT_OUT = "left out"
    OPEN = "open"


MEANINGS = {
    Fate.TAKEN: "in the fleet file, at the key shown",
    Fate.FOLDED: "once in the fleet file, for several places of the input",
    Fate.DERIVED: "Mirrorfleet sets it by itself",
    Fate.SECRET: "not copied: the fleet file refers to a variable",
    Fate.LEFT_OUT: "has no effect in the fleet, for the reason shown",
    Fate.OPEN: "needs your decision",
}


class Twice(RuntimeError):
    """A value with two fates: a defect of the importer. The message has no value."""


@dataclass(frozen=True)
class Entry:
    """The fate of one value. ``target`` is its key in the fleet file, if it has one."""

    file: str
    line: int
    key: Key
    fate: Fate
    reason: str
    target: Key = ()

    @property
    def place(self) -> str:
        """The key as it is written in the report."""
        return dotted(self.key) or "(file)"


class Ledger:
    """The fates of all values. A value gets its fate once."""

    def __init__(self) -> None:
        self._leaves: dict[Node, Entry | None] = {}

    def add(self, root: Node) -> None:
        """Register every value of a file."""
        for leaf in root.leaves():
            self._leaves.setdefault(leaf, None)
        for each in _nodes(root):
            for other in each.replaced:
                self.rest(other, Fate.LEFT_OUT, "a later line sets the same key again")

    def give(self, leaf: Node, fate: Fate, reason: str, target: Key = ()) -> None:
        """Give one value its fate. Raises ``Twice`` if it has one."""
        if self._leaves.get(leaf) is not None:
            raise Twice(f"{leaf.file}:{leaf.line}: {dotted(leaf.key)} has a fate already")
        self._leaves[leaf] = Entry(leaf.file, leaf.line, leaf.key, fate, reason, target)

    def rest(self, node: Node, fate: Fate, reason: str, target: Key = ()) -> None:
        """Give a fate to each value of a part that has none yet."""
        for leaf in node.leaves():
            if self._leaves.get(leaf) is None:
                self.give(leaf, fate, reason, target)

    def has(self, leaf: Node) -> bool:
        """Return whether a value has its fate."""
        return self._leaves.get(leaf) is not None

    def finish(self) -> None:
        """Give ``open`` to the values that nothing has looked at."""
        for leaf, entry in list(self._leaves.items()):
            if entry is None:
                self.give(leaf, Fate.OPEN, "Mirrorfleet does not know this key: decide by hand")

    def reopen(self, entries: Iterable[Entry], reason: str) -> None:
        """Change the fate of values that the checks of the fleet file refuse."""
        refused = set(map(id, entries))
        for leaf, entry in self._leaves.items():
            if entry is not None and id(entry) in refused:
                self._leaves[leaf] = Entry(leaf.file, leaf.line, leaf.key, Fate.OPEN, reason)

    def entries(self) -> list[Entry]:
        """Return the fate of every value, by file and in the order of its lines."""
        return [entry for entry in self._leaves.values() if entry is not None]

    def leaves(self) -> list[Node]:
        """Return every value of the input."""
        return list(self._leaves)


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for each in (*node.items.values(), *node.list, *node.replaced):
        yield from _nodes(each)
