"""Mistakes in a fleet file, each with its fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")

Key = tuple[str | int, ...]
"""A key of the document: ``("hosts", "gpu-a", "address")`` or ``("fallbacks", "coder", 0)``."""


class Place(NamedTuple):
    """A line of a file, counted from 1; 0 stands for the whole file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One mistake, printed as ``prod.yml:12: gateway.workers: is 0; the minimum is 1. Write …``.

    An ``error`` refuses the file, a ``warning`` does not. ``given`` has other keys that the problem
    depends on: if one of them is invalid, the problem is not reported.
    """

    place: Place
    key: Key
    mistake: str
    remedy: str = ""
    severity: Literal["error", "warning"] = "error"
    given: tuple[Key, ...] = ()

    @property
    def text(self) -> str:
        """Return key, mistake and remedy, without the place."""
        key = f"{dotted(self.key)}: " if self.key else ""
        return printable(f"{key}{self.mistake} {self.remedy}".rstrip())

    def __str__(self) -> str:
        warning = "warning: " if self.severity == "warning" else ""
        return f"{printable(str(self.place))}: {warning}{self.text}"


class FleetError(Exception):
    """A fleet file with errors. ``problems`` has every problem found, in file order."""

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
    """Return the problems by file and line, without duplicates."""
    return tuple(sorted(set(problems), key=lambda each: (each.place, str(each))))


def printable(text: str) -> str:
    """Return a text on one line, with escapes for characters that are not printable.

    A line break in a name of a file could otherwise forge a command for a CI job.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def dotted(key: Key) -> str:
    """Return a key in its usual notation: ``fallbacks.coder[0]``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str], *, listed: bool = True) -> str:
    """Return the closest known word as a question, else the list of all known words."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=CLOSE if len(words) > SHOWN else NEAR)
    if close:
        return f"Did you mean '{close[0]}'?"
    if len(words) > SHOWN or not listed:
        return ""
    return f"Known here: {', '.join(words)}." if words else ""


CLOSE, NEAR = 0.7, 0.65
"""Least similarity of a suggested word, from 0 to 1, among many words and among a few."""

SHOWN = 24
"""Most known words that are listed."""
