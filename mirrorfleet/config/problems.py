"""Problems of a fleet file or of a host, each with its place and its fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")

Key = tuple[str | int, ...]
"""A key of the document: ``("hosts", "gpu-a", "address")`` or ``("fallbacks", "coder", 0)``."""


class Place(NamedTuple):
    """A line of a file, counted from 1, where 0 stands for the file as a whole; or a host."""

    file: str = ""
    line: int = 0
    host: str = ""

    def __str__(self) -> str:
        return self.host or (f"{self.file}:{self.line}" if self.line else self.file)


Part = Literal["engines", "gateway", "clients"]
"""What of a host a run can skip, while the rest of the host takes part."""


@dataclass(frozen=True)
class Problem:
    """One problem, of a fleet file or of a host. Printed as

        prod.yml:7: models.coder.tensor_paralel: unknown key. Did you mean 'tensor_parallel'?
        gw-1: the processor is armv7l; services run on x86_64 and aarch64. Choose another host.

    An ``error`` refuses the file, or ends the run before the first change. A ``warning`` is printed
    and nothing else. A ``skip`` leaves out a ``part`` of a host, or without one something smaller,
    such as one home; the run goes on, and its exit code is 1. A ``note`` is nothing to fix: only
    `mirrorfleet check` prints it. ``given`` are other places that the
    problem rests on: if one of them is wrong, there may be no problem.
    """

    place: Place
    key: Key
    mistake: str
    remedy: str = ""
    severity: Literal["error", "warning", "skip", "note"] = "error"
    given: tuple[Key, ...] = ()
    part: Part | None = None

    @property
    def text(self) -> str:
        """Return key, mistake and remedy, without the place."""
        key = f"{dotted(self.key)}: " if self.key else ""
        return printable(f"{key}{self.mistake} {self.remedy}".rstrip())

    def __str__(self) -> str:
        return self.at(str(self.place))

    def at(self, place: str) -> str:
        """Return the line that is printed of it, for a place in other words."""
        words = {"error": "", "warning": "warning: ", "skip": "skipped: ", "note": "note: "}
        severity = words[self.severity]
        return f"{printable(place)}: {severity}{self.text}"


def lines(problems: Iterable[Problem]) -> list[str]:
    """Return the lines that are printed of problems: one for each, with all hosts that have it."""
    places: dict[Problem, list[str]] = {}
    for problem in problems:
        alike = replace(problem, place=Place()) if problem.place.host else problem
        where = places.setdefault(alike, [])
        if str(problem.place) not in where:
            where.append(str(problem.place))
    return [problem.at(", ".join(where)) for problem, where in places.items()]


class FleetError(Exception):
    """A fleet file with errors. ``problems`` has every problem found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__("\n".join(lines(self.problems)))


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
    if close := closest(word, words):
        return f"Did you mean '{close}'?"
    if len(words) > SHOWN or not listed:
        return ""
    return f"Known here: {', '.join(words)}." if words else ""


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is similar enough to be meant, else ""."""
    words = sorted(known)
    cutoff = CLOSE if len(words) > SHOWN else NEAR
    return next(iter(get_close_matches(word, words, n=1, cutoff=cutoff)), "")


CLOSE, NEAR = 0.7, 0.65
"""Least similarity of a suggested word, from 0 to 1, among many words and among a few."""

SHOWN = 24
"""Most known words that are listed."""
