"""The protocol of a fact, apart from any fact and any host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

Value = TypeVar("Value", covariant=True)

Lines = Sequence[Sequence[str]]
"""What a host printed about one fact: the fields of each line after the fact's own."""


@dataclass(frozen=True)
class Fact(ABC, Generic[Value]):
    """Something that a host can be asked: a subclass is a kind, an instance one fact of it.

    ``function`` is the name of the shell function, ``shell`` the files that define what it calls
    (those of common.sh are always there). The fields of the dataclass are its arguments. A field
    with ``compare=False`` is an argument that no line repeats and no lookup needs. ``implies`` are
    the kinds of further facts that the shell function asks: see `implied`.
    """

    function: ClassVar[str]
    shell: ClassVar[tuple[Path, ...]] = ()
    implies: ClassVar[tuple[type[Fact[Any]], ...]] = ()

    @abstractmethod
    def value(self, lines: Lines) -> Value:
        """Return the value for what the host printed. Without lines, the fact is absent.

        Raises ``ValueError`` for lines that the shell function never prints.
        """

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words that follow the function's name. Facts that differ in the last word only are
        asked in one call."""
        return tuple(map(str, self.__dict__.values()))

    @property
    def key(self) -> tuple[str, ...]:
        """The words with which each line about this fact begins: the function, the arguments."""
        fields = self.__dict__
        return (self.function, *[str(fields[name]) for name in repeated(type(self))])

    def implied(self, value: Any) -> Iterable[Fact[Any]]:
        """Return the facts that the shell function asked as well, depending on what it found."""
        return ()


@cache
def repeated(kind: type[Fact[Any]]) -> tuple[str, ...]:
    """Return the names of the arguments that lines about facts of a kind repeat."""
    return tuple(each.name for each in fields(kind) if each.compare)


def last(lines: Lines) -> str | None:
    """Return the one field of the last line, ``None`` without lines."""
    if not lines:
        return None
    [field] = lines[-1]
    return field


def pairs(lines: Lines) -> list[tuple[str, str]]:
    """Return lines of two fields each."""
    return [(first, second) for first, second in lines]
