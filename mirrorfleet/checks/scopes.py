"""Groups that meet on a host, and would take each other's files, command or settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from mirrorfleet.config import Developers, Fleet, ProviderModel
from mirrorfleet.config.problems import Problem, dotted
from mirrorfleet.data import table
from mirrorfleet.engines.registry import engine_of
from mirrorfleet.planning.setting import Path
from mirrorfleet.planning.settings import settings


def problems(fleet: Fleet) -> Iterator[Problem]:
    yield from _seats(fleet)
    yield from _versions(fleet)
    yield from _commands(fleet)
    yield from _policies(fleet)


def _directory(group: Developers) -> str:
    return group.command if group.scope == "isolated" else "claude"


def _seats(fleet: Fleet) -> Iterator[Problem]:
    """One user, one directory, two groups."""
    taken: dict[tuple[str, str, str], str] = {}
    for group in fleet.developers.values():
        told = set()
        for host, users in group.seats.items():
            for user in users:
                other = taken.setdefault((host, user, _directory(group)), group.name)
                if other != group.name and user not in told:
                    told.add(user)
                    yield fleet.document.problem(
                        ("developers", group.name),
                        f"has '{user}' on host '{host}', whom '{other}' has there too.",
                        "A user's settings come from one group, and of isolated groups beside it.",
                    )


def _versions(fleet: Fleet) -> Iterator[Problem]:
    versions: dict[str, Developers] = {}
    for group in fleet.developers.values():
        for host in group.hosts if group.scope != "isolated" else ():
            other = versions.setdefault(host, group)
            if other.version != group.version:
                yield fleet.document.problem(
                    ("developers", group.name, "version"),
                    f"is {group.version}, and '{other.name}' wants {other.version} on host "
                    f"'{host}'.",
                    "One host has one client version; an isolated group may have another.",
                )
                break


def _commands(fleet: Fleet) -> Iterator[Problem]:
    taken: dict[tuple[str, str], str] = {}
    for group in fleet.developers.values():
        for host in group.hosts if group.scope == "isolated" else ():
            other = taken.setdefault((host, group.command), group.name)
            if other != group.name:
                yield fleet.document.problem(
                    ("developers", group.name),
                    f"has the command '{group.command}' on host '{host}', which is that of "
                    f"'{other}' there.",
                    "Give each isolated group a command of its own.",
                )
                break


def _policies(fleet: Fleet) -> Iterator[Problem]:
    """Machine policy beats what any other group on the host says: they must say the same."""

    @cache
    def said(name: str) -> Mapping[Path, Any]:
        found = settings(fleet, fleet.developers[name])
        return {path: setting.value for path, setting in found.items()}

    groups = [group for group in fleet.developers.values() if _sound(fleet, group)]
    policies: dict[str, Developers] = {}
    for group in groups:
        for host in group.hosts if group.scope == "managed" else ():
            policies.setdefault(host, group)
    for group in groups:
        told = set()
        for host in group.hosts:
            policy = policies.get(host)
            if policy is None or policy is group or policy.name in told:
                continue
            told.add(policy.name)
            alike = group.scope == "managed"
            if differing := _differing(said(policy.name), said(group.name), alike):
                yield fleet.document.problem(
                    ("developers", group.name),
                    f"differs from '{policy.name}', which is the policy of host '{host}' and wins "
                    f"there, in {', '.join(differing)}.",
                    "Let both say the same, or give one of them other hosts.",
                )


def _differing(policy: Mapping[Path, Any], own: Mapping[Path, Any], alike: bool) -> list[str]:
    """Return the settings in which two groups differ; all of them count where they are to be alike.

    Otherwise those do that both say: rules of permissions add up, and what one says alone is its.
    """
    paths = policy.keys() | own.keys() if alike else policy.keys() & own.keys()
    return sorted(
        dotted(path)
        for path in paths
        if policy.get(path) != own.get(path)
        and (alike or path[0] != "permissions" or not isinstance(own[path], list))
    )


def _sound(fleet: Fleet, group: Developers) -> bool:
    """Can the settings of the group be derived? What is amiss is told by other checks."""
    gateway, model = fleet.gateway, fleet.find(group.model)
    names = [*(tier for tier in table("claude_code") if tier in fleet.aliases)]
    names += [group.subagent_model] if group.subagent_model else []
    reached = fleet.load_balancer.hosts if fleet.load_balancer else gateway.hosts if gateway else ()
    return (
        gateway is not None
        and (bool(gateway.url) or (bool(reached) and set(reached[:1]) <= fleet.hosts.keys()))
        and model is not None
        and (isinstance(model, ProviderModel) or engine_of(model).is_known(model))
        and all(fleet.find(name) for name in names)
        and isinstance(group.settings.get("env", {}), dict)
    )
