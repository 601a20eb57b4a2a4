"""A fleet file, with the files that it includes, as plain data that remembers every line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from fleet.nodes import Node, overlay, parse
from fleet.problems import FleetError, Key, Place, Problem

INCLUDE = "include"

REMOVE = "Remove it"
"""How the remedy begins that takes a value out."""


@dataclass(frozen=True)
class Document:
    """A parsed file: its data (dicts, lists, scalars) and the place at which each key stands.

    ``lost`` are the keys that are in the file, and not in the data because they are unsound;
    ``covering`` those that are laid over the value of an included file.
    """

    path: Path
    data: Any
    places: Mapping[Key, Place] = field(repr=False)
    lost: frozenset[Key] = frozenset()
    covering: frozenset[Key] = frozenset()

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


def read(path: Path) -> Document:
    """Read a fleet file and, under it, what it includes.

    Raises ``FleetError`` when one of the files cannot be read, or includes itself.
    """
    tree = _read(path, ())
    places: dict[Key, Place] = {}
    covering: set[Key] = set()
    data = _plain(tree, (), places, covering)
    return Document(path, data, places, covering=frozenset(covering))


def _read(path: Path, including: tuple[Path, ...]) -> Node:
    """Return the tree of a file, laid over those of the files that it includes."""
    tree = parse(path)
    if not isinstance(tree.value, dict) or INCLUDE not in tree.value:
        return tree
    own = Node({name: each for name, each in tree.value.items() if name != INCLUDE}, tree.place)
    outer = (*including, path.resolve())
    return reduce(overlay, [*_included(path, tree.value[INCLUDE], outer), own])


def _included(path: Path, said: Node, outer: tuple[Path, ...]) -> list[Node]:
    trees = []
    for name in said.value if isinstance(said.value, list) else [said]:
        if not isinstance(name.value, str):
            raise FleetError(
                [Problem(name.place, (INCLUDE,), "names no file.", "For example: base.yml.")]
            )
        other = Path(os.path.normpath(path.parent / name.value.replace("\0", "")))
        if other.resolve() in outer:
            raise FleetError(
                [
                    Problem(
                        name.place,
                        (INCLUDE,),
                        f"leads by '{name.value}' back to this file.",
                    )
                ]
            )
        if not _is_file(other):
            raise FleetError(
                [
                    Problem(
                        name.place,
                        (INCLUDE,),
                        f"names '{name.value}', which is not there.",
                        "The path starts at the file that says it.",
                    )
                ]
            )
        trees.append(_read(other, outer))
    return trees


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _plain(node: Node, key: Key, places: dict[Key, Place], covering: set[Key]) -> Any:
    places[key] = node.place
    if node.covers:
        covering.add(key)
    if isinstance(node.value, dict):
        return {
            name: _plain(each, (*key, name), places, covering) for name, each in node.value.items()
        }
    if isinstance(node.value, list):
        return [_plain(each, (*key, at), places, covering) for at, each in enumerate(node.value)]
    return node.value
