"""A fleet file, with the files that it includes, as plain data that remembers every line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from mirrorfleet.config import former_keys
from mirrorfleet.config.problems import FleetError, Key, Place, Problem
from mirrorfleet.config.yaml_nodes import LARGEST, UNSOUND, Node, overlay, parse

INCLUDE = "include"

REMOVE = "Remove it"
"""How the remedy begins that takes a value out."""


@dataclass(frozen=True)
class Document:
    """A parsed file: its data (dicts, lists, scalars) and the place at which each key stands.

    ``lost`` are the keys that are in the file, and not in the data because they are unsound;
    ``problems`` says why, of those that YAML does not read as words, numbers and the like.
    ``covering`` are those that are laid over the value of an included file.
    """

    path: Path
    data: Any
    places: Mapping[Key, Place] = field(repr=False)
    lost: frozenset[Key] = frozenset()
    covering: frozenset[Key] = frozenset()
    problems: tuple[Problem, ...] = ()

    def place(self, key: Key) -> Place:
        """Return where ``key`` stands, or the nearest parent that is in the file."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places[key]

    def directory(self, key: Key) -> Path:
        """Return the directory from which the paths at ``key`` start: that of their own file."""
        return Path(self.place(key).file).resolve().parent

    def names(self, section: str) -> frozenset[str]:
        """Return the names that a section of the file defines, soundly or not."""
        lost = {str(key[1]) for key in self.lost if len(key) == 2 and key[0] == section}
        return frozenset(self.data.get(section, ())) | lost

    def says(self, *key: str) -> bool:
        """Tell whether something is written at ``key``, soundly or not."""
        return key in self.places

    def problem(
        self,
        key: Key,
        mistake: str,
        remedy: str = "",
        severity: Literal["error", "warning"] = "error",
        given: tuple[Key, ...] = (),
    ) -> Problem:
        """Return a problem at ``key``, which rests on what is said at the keys ``given``, too.

        Where an included file says the key as well, a value that is removed would only give way to
        that one's.
        """
        if remedy.startswith(REMOVE) and self._is_included(key):
            remedy = f"Write '{key[-1]}: null' in {self.path.name}{remedy.removeprefix(REMOVE)}"
        return Problem(self.place(key), key, mistake, remedy, severity, given)

    def warning(
        self, key: Key, mistake: str, remedy: str = "", given: tuple[Key, ...] = ()
    ) -> Problem:
        """Return a warning at ``key``."""
        return self.problem(key, mistake, remedy, "warning", given)

    def _is_included(self, key: Key) -> bool:
        """Does a file below this one say a key of a mapping?"""
        found = self.places.get(key)
        return (
            found is not None
            and all(isinstance(part, str) for part in key)
            and (found.file != str(self.path) or key in self.covering)
        )


MOST_FILES = 1000
"""Files of one fleet."""

LONGEST = 50
"""Files in a row, each of which includes the next."""


def read(path: Path) -> Document:
    """Read a fleet file and, under it, what it includes.

    Raises ``FleetError`` when one of the files cannot be read, or includes itself. What is wrong
    with single values is among the document's ``problems``.
    """
    reader = _Reader()
    tree = reader.read(path, ())
    if tree.value is UNSOUND:
        raise FleetError(reader.problems)
    found = _Plain()
    data = found.data(tree, ())
    return Document(
        path,
        data,
        found.places,
        frozenset(found.lost),
        frozenset(found.covering),
        tuple(reader.problems),
    )


class _Reader:
    """Reads each file once, however many others include it, and collects what is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.trees: dict[Path, Node] = {}
        self.room = LARGEST

    def read(self, path: Path, including: tuple[Path, ...]) -> Node:
        """Return the tree of a file, laid over those of the files that it includes."""
        if path not in self.trees:
            self.trees[path] = self._tree(path, including)
        return self.trees[path]

    def _tree(self, path: Path, including: tuple[Path, ...]) -> Node:
        parsed = parse(path, self.room)
        self.room -= parsed.size
        self.problems += parsed.problems
        tree, problems = former_keys.update(parsed.tree)
        self.problems += problems
        if not isinstance(tree.value, dict) or INCLUDE not in tree.value:
            return tree
        own = Node({name: each for name, each in tree.value.items() if name != INCLUDE}, tree.place)
        outer = (*including, path.resolve())
        return reduce(overlay, [*self._included(path, tree.value[INCLUDE], outer), own])

    def _included(self, path: Path, said: Node, outer: tuple[Path, ...]) -> Iterator[Node]:
        for name in said.value if isinstance(said.value, list) else [said]:
            if name.value is UNSOUND:
                continue
            other, mistake, remedy = self._other(path, name.value, outer)
            if mistake:
                raise FleetError([Problem(name.place, (INCLUDE,), mistake, remedy)])
            yield self.read(other, outer)

    def _other(self, path: Path, said: Any, outer: tuple[Path, ...]) -> tuple[Path, str, str]:
        """Return the file that an include names, and what is wrong with it and what to do."""
        if not isinstance(said, str):
            return path, "names no file.", "For example: base.yml."
        other = Path(os.path.normpath(path.parent / said.replace("\0", "")))
        try:
            if other.resolve() in outer:
                return other, f"leads by '{said}' back to this file.", "Remove one of the includes."
            there = other.exists()
        except (OSError, RuntimeError):  # a name that no file can have, or a link to itself
            there = False
        if not there:
            remedy = "The path starts at the file that says it."
            return other, f"names '{said}', which is not there.", remedy
        if len(outer) >= LONGEST:
            return other, f"is the {LONGEST}th in a row.", "Include the files side by side."
        if len(self.trees) >= MOST_FILES:
            return other, f"is the {MOST_FILES}th file.", "Put some of them together."
        return other, "", ""


class _Plain:
    """Makes plain data of a tree, without what is unsound, and collects what is known of its keys.

    Of a list, nothing is left out alone.
    """

    def __init__(self) -> None:
        self.places: dict[Key, Place] = {}
        self.lost: set[Key] = set()
        self.covering: set[Key] = set()

    def data(self, node: Node, key: Key) -> Any:
        self.places[key] = node.place
        if node.covers:
            self.covering.add(key)
        if isinstance(node.value, dict):
            inner = {name: self.data(each, (*key, name)) for name, each in node.value.items()}
            return {name: each for name, each in inner.items() if (*key, name) not in self.lost}
        if isinstance(node.value, list):
            items = [self.data(each, (*key, at)) for at, each in enumerate(node.value)]
            if any((*key, at) in self.lost for at in range(len(items))):
                self.lost.add(key)
            return items
        if node.value is UNSOUND:
            self.lost.add(key)
        return node.value
