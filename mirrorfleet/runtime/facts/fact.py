"""The base class of facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

Value = TypeVar("Value", covariant=True)

Lines = Sequence[Sequence[str]]
"""The lines that a host printed about one fact: the fields of each, without the fact's key."""


@dataclass(frozen=True)
class Fact(ABC, Generic[Value]):
    """Something that can be read from a host: a subclass is a kind, an instance one fact of it.

    ``function`` is the name of the shell function, ``shell`` the files that define it and what it
    calls (common.sh is always included). The fields of the dataclass are its arguments. A field
    with ``compare=False`` is an argument that the lines do not repeat and a lookup does not need.
    ``implies`` are the kinds of further facts that the shell function prints: see `implied`.
    """

    function: ClassVar[str]
    shell: ClassVar[tuple[Path, ...]] = ()
    implies: ClassVar[tuple[type[Fact[Any]], ...]] = ()

    @abstractmethod
    def value(self, lines: Lines) -> Value:
        """Return the value for the lines that the host printed. Without lines, the fact is absent.

        Raises ``ValueError`` for lines that the shell function never prints.
        """

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of the function. One call reads all facts that differ in the last only."""
        return tuple(map(str, self.__dict__.values()))

    @property
    def key(self) -> tuple[str, ...]:
        """The first fields of each line about this fact: the function, the repeated arguments."""
        fields = self.__dict__
        return (self.function, *[str(fields[name]) for name in repeated(type(self))])

    def implied(self, value: Any) -> Iterable[Fact[Any]]:
        """Return the facts that the shell function prints as well, depending on the value."""
        return ()


@cache
def repeated(kind: type[Fact[Any]]) -> tuple[str, ...]:
    """Return the names of the arguments that the lines about facts of a kind repeat."""
    return tuple(field.name for field in fields(kind) if field.compare)


def last(lines: Lines) -> str | None:
    """Return the one field of the last line, ``None`` without lines."""
    if not lines:
        return None
    [field] = lines[-1]
    return field


def pairs(lines: Lines) -> list[tuple[str, str]]:
    """Return the fields of lines with two fields each."""
    return [(first, second) for first, second in lines]
