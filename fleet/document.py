"""YAML read into plain data that remembers the line of every key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fleet.problems import FleetError, Problem

Key = tuple[str | int, ...]
"""A place in the document: ``("hosts", "gpu-a", "address")`` or ``("fallbacks", "coder", 0)``."""


@dataclass(frozen=True)
class Document:
    """A parsed file: its data (dicts, lists, scalars) and the line at which each key stands."""

    path: Path
    data: Any
    lines: dict[Key, int] = field(repr=False)

    def problem(self, key: Key, mistake: str, remedy: str = "") -> Problem:
        """Return a problem at ``key``, or at the nearest parent that is in the file."""
        known = key
        while known and known not in self.lines:
            known = known[:-1]
        return Problem(str(self.path), self.lines.get(known, 1), dotted(key), mistake, remedy)


def dotted(key: Key) -> str:
    """Write a key as people say it: ``fallbacks.coder[0]``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read(path: Path) -> Document:
    """Parse a YAML file.

    Raises ``FleetError`` when the file cannot be read, is not YAML, repeats a key or holds
    anything but strings as keys.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
    except OSError as error:
        raise FleetError([Problem(str(path), 1, "", f"{error.strerror}.", "")]) from None
    except UnicodeDecodeError:
        raise FleetError([Problem(str(path), 1, "", "is not UTF-8 text.", "")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or "is not YAML"
        raise FleetError([Problem(str(path), line, "", f"{what}.", "")]) from None

    builder = _Builder(path, loader)
    data = builder.build(node, (), ()) if node else {}
    if builder.problems:
        raise FleetError(builder.problems)
    return Document(path, data, builder.lines)


class _Builder:
    """Walks the YAML nodes once and collects data, lines and problems."""

    def __init__(self, path: Path, loader: yaml.SafeLoader) -> None:
        self.path = path
        self.loader = loader
        self.lines: dict[Key, int] = {}
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, key: Key, parents: tuple[yaml.Node, ...]) -> Any:
        self.lines.setdefault(key, node.start_mark.line + 1)
        if node in parents:
            self._report(node, key, "contains itself.", "Remove the alias.")
            return None
        if isinstance(node, yaml.MappingNode):
            return {
                name: self.build(value, (*key, name), (*parents, node))
                for name, value in self._pairs(node, key)
            }
        if isinstance(node, yaml.SequenceNode):
            return [
                self.build(item, (*key, index), (*parents, node))
                for index, item in enumerate(node.value)
            ]
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._report(node, key, "cannot be read as a value.", "Quote it.")
            return None

    def _pairs(self, node: yaml.MappingNode, key: Key) -> Iterator[tuple[str, yaml.Node]]:
        own = {id(name) for name, _ in node.value}
        try:
            # `<<: *base` puts the merged keys first, so that the mapping's own keys win.
            self.loader.flatten_mapping(node)
        except yaml.YAMLError:
            self._report(node, key, "has a '<<' that merges no mapping.", "")
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
            self.lines[(*key, name)] = name_node.start_mark.line + 1
            yield name, value

    def _report(self, node: yaml.Node, key: Key, mistake: str, remedy: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(str(self.path), line, dotted(key), mistake, remedy))
