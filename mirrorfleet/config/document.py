"""A fleet file with its includes, as plain data, and the line of every key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from mirrorfleet.config import former_keys, group_inheritance, people_files
from mirrorfleet.config.problems import FleetError, Key, Place, Problem
from mirrorfleet.config.yaml_nodes import LARGEST, UNSOUND, Node, overlay, parse

INCLUDE = "include"

REMOVE = "Remove it"
"""The first words of a remedy that removes a value."""


@dataclass(frozen=True)
class Document:
    """A parsed file: its data (dicts, lists, scalars) and the place of each key.

    ``lost`` has the keys of invalid values, which are in the file and not in ``data``.
    ``problems`` has what the parser found. ``covering`` has the keys that override the value of an
    included file. ``origins`` has the group that writes each inherited key of a group.
    """

    path: Path
    data: Any
    places: Mapping[Key, Place] = field(repr=False)
    lost: frozenset[Key] = frozenset()
    covering: frozenset[Key] = frozenset()
    problems: tuple[Problem, ...] = ()
    origins: Mapping[Key, str] = field(default_factory=dict, repr=False)

    def written(self, key: Key) -> Key:
        """Return the key where the file has it: an inherited one is that of another group."""
        for end in range(len(key), 2, -1):
            if origin := self.origins.get(key[:end]):
                return (key[0], origin, *key[2:])
        return key

    def place(self, key: Key) -> Place:
        """Return the place of ``key``, or of its nearest parent in the file."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places[key]

    def directory(self, key: Key) -> Path:
        """Return the directory that relative paths at ``key`` start at: that of their own file."""
        return Path(self.place(key).file).resolve().parent

    def names(self, section: str) -> frozenset[str]:
        """Return the names that a section of the file defines, even those with invalid values."""
        lost = {str(key[1]) for key in self.lost if len(key) == 2 and key[0] == section}
        return frozenset(self.data.get(section, ())) | lost

    def says(self, *key: str) -> bool:
        """Return whether the file has ``key``, even with an invalid value."""
        return key in self.places

    def problem(
        self,
        key: Key,
        mistake: str,
        remedy: str = "",
        severity: Literal["error", "warning"] = "error",
        given: tuple[Key, ...] = (),
    ) -> Problem:
        """Return a problem at ``key`` that also depends on the values of the keys ``given``.

        If an included file has the key too, removing it would only uncover that file's value: the
        remedy is then ``null``.
        """
        if remedy.startswith(REMOVE) and self._is_included(key):
            remedy = f"Write '{key[-1]}: null' in {self.path.name}{remedy.removeprefix(REMOVE)}"
        return Problem(self.place(key), key, mistake, remedy, severity, given)

    def warning(
        self, key: Key, mistake: str, remedy: str = "", given: tuple[Key, ...] = ()
    ) -> Problem:
        """Return a warning at ``key``."""
        return self.problem(key, mistake, remedy, "warning", given)

    def drop_inherited(self, key: Key, names: Iterable[str]) -> str:
        """Return the fix for a name below ``key`` that a base or another group writes, else ""."""
        for name in names:
            inner = (*key, name)
            place = self.places.get(inner)
            if inner in self.origins or (place and place.file != str(self.path)):
                return f"Write '{name}: null' to drop the inherited one. "
        return ""

    def _is_included(self, key: Key) -> bool:
        """Return whether an included file has a key of a mapping."""
        found = self.places.get(key)
        return (
            found is not None
            and all(isinstance(part, str) for part in key)
            and (found.file != str(self.path) or key in self.covering)
        )


MOST_FILES = 1000
"""Most files of one fleet."""

LONGEST = 50
"""Levels of nested includes that are refused."""


def read(path: Path) -> Document:
    """Read a fleet file and merge it over its includes.

    Raises ``FleetError`` if a file cannot be read or includes itself. Mistakes in single values
    are among the document's ``problems``.
    """
    reader = _Reader()
    tree = reader.read(path, ())
    if tree.value is UNSOUND:
        raise FleetError(reader.problems)
    inherited = group_inheritance.inherit(tree)
    tree, problems = people_files.insert(inherited.tree)
    found = _Plain()
    data = found.data(tree, ())
    return Document(
        path,
        data,
        found.places,
        frozenset(found.lost),
        frozenset(found.covering),
        (*reader.problems, *inherited.problems, *problems),
        inherited.origins,
    )


class _Reader:
    """Reads each file once, even if several files include it, and collects problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.trees: dict[Path, Node] = {}
        self.room = LARGEST

    def read(self, path: Path, including: tuple[Path, ...]) -> Node:
        """Return the tree of a file, merged over the trees of its includes."""
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

    def _included(self, path: Path, value: Node, outer: tuple[Path, ...]) -> Iterator[Node]:
        for name in value.value if isinstance(value.value, list) else [value]:
            if name.value is UNSOUND:
                continue
            other, mistake, remedy = self._other(path, name.value, outer)
            if mistake:
                raise FleetError([Problem(name.place, (INCLUDE,), mistake, remedy)])
            yield self.read(other, outer)

    def _other(self, path: Path, name: Any, outer: tuple[Path, ...]) -> tuple[Path, str, str]:
        """Return the file that an include names, the mistake if there is one, and the remedy."""
        if not isinstance(name, str):
            return path, "must be a file name, or a list of file names.", "For example: base.yml."
        other = Path(os.path.normpath(path.parent / name.replace("\0", "")))
        try:
            if other.resolve() in outer:
                return other, f"is circular via '{name}'.", "Remove one of the includes."
            there = other.exists()
        except (OSError, RuntimeError):  # a name that no file can have, or a link to itself
            there = False
        if not there:
            remedy = "A relative path starts at the directory of the file with the include."
            return other, f"names '{name}', which does not exist.", remedy
        if len(outer) >= LONGEST:
            mistake = f"nests {LONGEST} includes; the maximum is {LONGEST - 1}."
            return other, mistake, "List the files in one include."
        if len(self.trees) >= MOST_FILES:
            mistake = f"exceeds {MOST_FILES} files; the maximum of one fleet is {MOST_FILES}."
            return other, mistake, "Merge some of them."
        return other, "", ""


class _Plain:
    """Converts a tree to plain data without invalid values, and collects the places of its keys.

    A list with an invalid item is left out as a whole.
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
