"""What is wrong with a fleet file, said so that the reader can mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake. Printed as ``prod.yml:12: gateway.workers: must be 2 or more. Write …``."""

    file: str
    line: int
    key: str
    mistake: str
    remedy: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {key}{self.mistake} {self.remedy}".rstrip()


class FleetError(Exception):
    """A fleet file that cannot be used. ``problems`` holds every mistake found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the closest known word as a question, or the list of all known ones."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known here: {', '.join(words)}." if words else ""
