"""Developers whose settings would contradict each other, or what stands behind the gateway."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.problems import Problem
from fleet.spec import Developers, Fleet

SMALLEST = 65_536
"""Tokens. Claude Code's own prompt takes 15,000 to 57,000 of them before the work begins."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    yield from _seats(fleet)
    yield from _versions(fleet)
    for group in fleet.developers.values():
        yield from _window(fleet, group)


def _seats(fleet: Fleet) -> Iterator[Problem]:
    taken: dict[tuple[str, str], str] = {}
    for group in fleet.developers.values():
        told = set()
        for host, users in group.seats.items():
            for user in users:
                other = taken.setdefault((host, user), group.name)
                if other != group.name and user not in told:
                    told.add(user)
                    yield fleet.document.problem(
                        ("developers", group.name),
                        f"has '{user}' on host '{host}', whom '{other}' has there too.",
                        "A user's settings come from one group.",
                    )


def _versions(fleet: Fleet) -> Iterator[Problem]:
    versions: dict[str, Developers] = {}
    for group in fleet.developers.values():
        for host in group.hosts:
            other = versions.setdefault(host, group)
            if other.version != group.version:
                yield fleet.document.problem(
                    ("developers", group.name, "version"),
                    f"is {group.version}, and '{other.name}' wants {other.version} on host "
                    f"'{host}'.",
                    "One host has one client version.",
                )
                break


def _window(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    model = fleet.find(group.model)
    if model and model.context < SMALLEST:
        yield fleet.document.warning(
            ("developers", group.name, "model"),
            f"leads to '{model.name}' with a window of {model.context}: Claude Code's own prompt "
            "takes up to 57000.",
            f"Give it {SMALLEST} or more, or another model.",
        )
