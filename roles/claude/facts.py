"""Facts for Claude Code: former assignments, and clients that users installed themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorfleet.runtime.facts import Fact, Lines, User, pairs
from mirrorfleet.runtime.facts.homes import SHELL, HomeFile, HomeLeftovers

FACTS = (SHELL, Path(__file__).parent / "files" / "facts.sh")


@dataclass(frozen=True)
class OwnClients(Fact[Mapping[str, str]]):
    """The clients that a user installed: the target of each, by its path relative to the home."""

    user: str

    function = "own_client"
    shell = FACTS

    def value(self, lines: Lines) -> Mapping[str, str]:
        return dict(pairs(lines))


ENTRY = re.compile(r"(skills|agents|commands|rules|output-styles)/(?!\.{1,2}$)[^/]+")


@dataclass(frozen=True)
class Entries(Fact[Mapping[str, str]]):
    """Each entry of skills, agents, … of a settings directory: the target of a link, else "".

    Empty on a machine that has no distributed files.
    """

    user: str
    directory: str

    function = "entries"
    shell = FACTS

    def value(self, lines: Lines) -> Mapping[str, str]:
        return _entries(lines)


@dataclass(frozen=True)
class PolicyEntries(Fact[Mapping[str, str]]):
    """The same for a directory of root."""

    path: str

    function = "policy_entries"
    shell = FACTS

    def value(self, lines: Lines) -> Mapping[str, str]:
        return _entries(lines)


def _entries(lines: Lines) -> Mapping[str, str]:
    # The user controls the process that prints this: other lines are ignored.
    return dict(row for row in lines if len(row) == 2 and ENTRY.fullmatch(row[0]))  # type: ignore[misc]


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
    implies = (User, HomeFile, HomeLeftovers, Entries)

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
    names = ("settings.json", "mirrorfleet-key", "mirrorfleet-receipt.json")
    for path in (state, *(f"{directory}/{name}" for name in names)):
        yield HomeFile(user, path)
        yield HomeLeftovers(user, path)
    yield Entries(user, directory)
