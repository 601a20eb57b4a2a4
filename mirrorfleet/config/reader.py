"""Read one mapping of a fleet file, key by key. Defaults come from the schema."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import FleetError, Key
from mirrorfleet.config.schema import Schema, below, keys, resolve, root


@dataclass(frozen=True)
class Secret:
    """Where the controller finds a secret at run time, never the secret itself.

    ``directory`` is that of the file with the reference: relative files and commands start there.
    """

    source: Literal["env", "file", "command"]
    value: str
    directory: Path

    def __str__(self) -> str:
        return f"{{{self.source}: {self.value}}}"


@dataclass(frozen=True)
class Section:
    """The mapping at ``key`` of a validated document, empty if the file does not have it.

    ``schema`` is the part of the schema for this place; it has the defaults of missing keys.
    """

    document: Document
    key: Key = ()
    schema: Schema = field(default_factory=root, repr=False)

    @property
    def name(self) -> str:
        return str(self.key[-1])

    @cached_property
    def data(self) -> dict[str, Any]:
        """The mapping as the file has it, without defaults."""
        data: Any = self.document.data
        for part in self.key:
            data = data[int(part)] if isinstance(data, list) else data.get(part, {})
        if not isinstance(data, dict):
            raise TypeError(f"{self.key} is {data!r}, not a mapping: read its value instead")
        return data

    @cached_property
    def _keys(self) -> dict[str, Schema]:
        return keys(self.schema, self.data)

    def __contains__(self, name: str) -> bool:
        """Return whether the file has a key."""
        return name in self.data

    def get(self, name: str) -> Any:
        """Return the value of a key, else its default, else ``None``."""
        if name in self.data:
            return self.data[name]
        return deepcopy(self._keys.get(name, {}).get("default"))

    def __getitem__(self, name: str) -> Any:
        """Return the value of a key, else its default. Raises ``KeyError`` if it has neither."""
        if name not in self.data and "default" not in self._keys.get(name, {}):
            raise KeyError((*self.key, name))
        return self.get(name)

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of strings, empty if the key is missing."""
        return tuple(self.get(name) or ())

    def mapping(self, name: str) -> Section:
        """Return the mapping below a key."""
        return Section(self.document, (*self.key, name), below(self.schema, self.data, name))

    def mappings(self) -> Iterator[Section]:
        """Yield the mapping below each key that the file has here."""
        for name in self.data:
            yield self.mapping(name)

    def items(self, name: str) -> Iterator[Section]:
        """Yield the mappings of a list."""
        each = resolve(below(self.schema, self.data, name).get("items", {}))
        for index in range(len(self.data.get(name) or ())):
            yield Section(self.document, (*self.key, name, index), each)

    def path(self, name: str) -> Path | None:
        """Return an absolute path: a relative one starts at its own file, ``~`` is a home.

        Raises ``FleetError`` for a path that cannot exist.
        """
        if name not in self.data:
            return None
        path = Path(self.data[name])
        try:
            return (self._directory(name) / path.expanduser()).resolve()
        except (RuntimeError, OSError, ValueError) as error:  # no such home, no such name
            problem = self.document.problem(
                (*self.key, name), f"is not a path: {str(error).rstrip('.')}."
            )
            raise FleetError([problem]) from None

    def secret(self, name: str) -> Secret | None:
        """Return a reference to a secret."""
        if name not in self.data:
            return None
        [(source, value)] = self.data[name].items()
        return Secret(source, value, self._directory(name))

    def required_secret(self, name: str) -> Secret:
        """Return a reference to a secret. Raises ``KeyError`` if the file does not have it."""
        found = self.secret(name)
        if found is None:
            raise KeyError((*self.key, name))
        return found

    def _directory(self, name: str) -> Path:
        return self.document.directory((*self.key, name))
