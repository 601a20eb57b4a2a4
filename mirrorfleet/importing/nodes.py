"""Files of other programs as trees, each value with its line and without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config.problems import Key
from mirrorfleet.importing.hidden import Secrets, shown


class NotReadable(Exception):
    """A file that cannot be read: ``line`` (0 for the whole file), and why, without its content."""

    def __init__(self, file: str, line: int, why: str) -> None:
        super().__init__(f"{file}:{line}: {why}" if line else f"{file}: {why}")


@dataclass(frozen=True, eq=False)
class Node:
    """A value and its place. ``value`` is a dict or list of nodes, a scalar, or ``Hidden``.

    ``replaced`` are values that a later key of the same name replaces.
    """

    value: Any
    file: str
    line: int
    key: Key
    replaced: tuple[Node, ...] = ()

    def leaves(self) -> Iterator[Node]:
        """Yield the scalars, and the empty mappings and lists, in the order of the file."""
        yield from (leaf for other in self.replaced for leaf in other.leaves())
        inner = self.value if isinstance(self.value, list) else self.items.values()
        if not inner:
            yield self
        for each in inner:
            yield from each.leaves()

    @property
    def items(self) -> dict[str, Node]:
        """The nodes of a mapping by name; empty for any other value."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def list(self) -> list[Node]:
        """The nodes of a list; empty for any other value."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str:
        """The scalar as text; empty for a mapping, a list, null or a secret."""
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return str(self.value) if isinstance(self.value, str | int | float) else ""

    @property
    def plain(self) -> Any:
        """The value without its places; ``Hidden`` for a secret."""
        if isinstance(self.value, dict):
            return {name: each.plain for name, each in self.items.items()}
        return [each.plain for each in self.list] if isinstance(self.value, list) else self.value

    def get(self, *names: str) -> Node | None:
        """Return the node below these names of nested mappings."""
        found: Node | None = self
        for name in names:
            found = found.items.get(name) if found else None
        return found


class Trees:
    """Reads files to trees. The secrets of all of them are hidden together."""

    def __init__(self) -> None:
        self.secrets = Secrets()

    def name(self, text: str) -> str:
        """Return a key of a mapping. One that looks like a secret is hidden like one."""
        if shown(text) == text:
            return text
        hidden = self.secrets.hide("key", text)
        return f"{shown(text)}-{hidden.number}"

    def leaf(self, value: Any, file: str, line: int, key: Key) -> Node:
        """Return a scalar that a format of its own has, with its secret hidden."""
        name = next((part for part in reversed(key) if isinstance(part, str)), "")
        return Node(self.secrets.hide(name, value), file, line, without_secrets(key))


def without_secrets(key: Key) -> Key:
    """Return a key for the report: a part that looks like a secret is not shown."""
    return tuple(shown(part) if isinstance(part, str) else part for part in key)
