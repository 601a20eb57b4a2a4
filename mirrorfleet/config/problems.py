"""What is wrong with a fleet file, said so that the reader can mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")

Key = tuple[str | int, ...]
"""A place in the document: ``("hosts", "gpu-a", "address")`` or ``("fallbacks", "coder", 0)``."""


class Place(NamedTuple):
    """A line of a file, counted from 1; 0 stands for the file as a whole."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One mistake. Printed as ``prod.yml:12: gateway.workers: must be 2 or more. Write …``.

    An ``error`` refuses the file; a ``warning`` is told, and the fleet can be what the file says.
    ``given`` are other places that it rests on: with one of them unsound, it may be none.
    """

    place: Place
    key: Key
    mistake: str
    remedy: str = ""
    severity: Literal["error", "warning"] = "error"
    given: tuple[Key, ...] = ()

    @property
    def text(self) -> str:
        """What is wrong and what to do, without the place."""
        key = f"{dotted(self.key)}: " if self.key else ""
        return printable(f"{key}{self.mistake} {self.remedy}".rstrip())

    def __str__(self) -> str:
        warning = "warning: " if self.severity == "warning" else ""
        return f"{printable(str(self.place))}: {warning}{self.text}"


class FleetError(Exception):
    """A fleet file that cannot be used. ``problems`` holds every problem found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Unchecked(RuntimeError):
    """A fleet without a value that the checks guarantee: a defect of Mirrorfleet, not of a file."""


def checked(value: T | None, key: str) -> T:
    """Return a value that the checks guarantee. Raises ``Unchecked`` if it is missing."""
    if value is None:
        raise Unchecked(f"{key} is missing, and the checks let the fleet file pass: report this")
    return value


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems by file and line, each once."""
    return tuple(sorted(set(problems), key=lambda each: (each.place, str(each))))


def printable(text: str) -> str:
    """Return a text on one line, with what no terminal should be sent written as its escape.

    Names and values of a file may hold line breaks: a CI job would read a command there.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def dotted(key: Key) -> str:
    """Write a key as people say it: ``fallbacks.coder[0]``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str], *, listed: bool = True) -> str:
    """Return the closest known word as a question, or the list of all known ones."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=CLOSE if len(words) > SHOWN else 0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    if len(words) > SHOWN or not listed:
        return ""
    return f"Known here: {', '.join(words)}." if words else ""


CLOSE = 0.7
"""How alike a word of a long list must be to be suggested: among hundreds, one always is a bit."""

SHOWN = 30
"""Known words that are still listed; a longer list helps nobody."""
