"""One mapping of a fleet file, read key by key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import FleetError, Key


@dataclass(frozen=True)
class Secret:
    """Where a secret is found at run time. It never holds the secret itself.

    ``directory`` is that of the file that says it: relative files and commands start there.
    """

    source: Literal["env", "file", "command"]
    value: str
    directory: Path

    def __str__(self) -> str:
        return f"{{{self.source}: {self.value}}}"


@dataclass(frozen=True)
class Section:
    """The mapping at ``key`` of a document whose shape has been checked; empty if it is absent."""

    document: Document
    key: Key = ()

    @property
    def name(self) -> str:
        return str(self.key[-1])

    @property
    def said(self) -> dict[str, Any]:
        data = self.document.data
        for part in self.key:
            data = data.get(part, {})
        assert isinstance(data, dict)
        return data

    def __contains__(self, name: str) -> bool:
        return name in self.said

    def __getitem__(self, name: str) -> Any:
        return self.said[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.said.get(name, default)

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of words, empty if it is not said."""
        return tuple(self.said.get(name, ()))

    def section(self, name: str) -> Section:
        return Section(self.document, (*self.key, name))

    def sections(self) -> Iterator[Section]:
        """Yield the section of each name in this mapping."""
        for name in self.said:
            yield self.section(name)

    def path(self, name: str) -> Path | None:
        """Return a path that starts at the file that says it, or at a home directory."""
        if name not in self.said:
            return None
        said = Path(self.said[name])
        try:
            return (self._directory(name) / said.expanduser()).resolve()
        except (RuntimeError, OSError, ValueError) as error:  # no such home, no such name
            problem = self.document.problem(
                (*self.key, name), f"is no path: {str(error).rstrip('.')}."
            )
            raise FleetError([problem]) from None

    def secret(self, name: str) -> Secret | None:
        if name not in self.said:
            return None
        [(source, value)] = self.said[name].items()
        return Secret(source, value, self._directory(name))

    def _directory(self, name: str) -> Path:
        return self.document.directory((*self.key, name))
