"""Facts for Claude Code: former assignments, and clients that users installed themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorfleet.runtime.facts import Fact, Lines, User, pairs
from mirrorfleet.runtime.facts.homes import SHELL, HomeFile

FACTS = (SHELL, Path(__file__).parent / "files" / "facts.sh")


@dataclass(frozen=True)
class OwnClients(Fact[Mapping[str, str]]):
    """The clients that a user installed: the target of each, by its path relative to the home."""

    user: str

    function = "own_client"
    shell = FACTS

    def value(self, lines: Lines) -> Mapping[str, str]:
        return dict(pairs(lines))


@dataclass(frozen=True)
class Assignments(Fact[frozenset[tuple[str, str]]]):
    """The users and directories in a list that earlier runs wrote, without the ``present`` ones.

    ``present`` are lines of that list, "USER DIRECTORY", whose files the run reads anyway. The
    shell function also reads the user and the files of each other line.
    """

    path: str
    present: tuple[str, ...] = field(default=(), compare=False)

    function = "assignments"
    shell = FACTS
    implies = (User, HomeFile)

    @property
    def arguments(self) -> tuple[str, ...]:
        return (self.path, *self.present)

    def value(self, lines: Lines) -> frozenset[tuple[str, str]]:
        return frozenset(pairs(lines))

    def implied(self, value: Any) -> Iterable[Fact[Any]]:
        for user, directory in value:
            yield from home_facts(user, directory)


def home_facts(user: str, directory: str) -> Iterable[Fact[Any]]:
    """Yield the facts about a user's settings in a directory; facts.sh lists the same."""
    state = ".claude.json" if directory == ".claude" else f"{directory}/.claude.json"
    yield User(user)
    yield HomeFile(user, f"{directory}/settings.json")
    yield HomeFile(user, state)
    yield HomeFile(user, f"{directory}/mirrorfleet-key")
    yield HomeFile(user, f"{directory}/mirrorfleet-receipt.json")
