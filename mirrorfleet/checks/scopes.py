"""Groups on the same host with conflicting users, versions, commands or policies."""

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
    yield from _users(fleet)
    yield from _versions(fleet)
    yield from _commands(fleet)
    yield from _policies(fleet)


def _directory(group: Developers) -> str:
    return group.command if group.scope == "isolated" else "claude"


def _users(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each user with one settings directory and two groups."""
    taken: dict[tuple[str, str, str], str] = {}
    for group in fleet.developers.values():
        reported = set()
        for host, users in group.users_by_host.items():
            for user in users:
                other = taken.setdefault((host, user, _directory(group)), group.name)
                if other != group.name and user not in reported:
                    reported.add(user)
                    yield fleet.document.problem(
                        ("developers", group.name),
                        f"has the user '{user}' on {host}, and so does '{other}'.",
                        "Remove the user from one of the groups, or write scope: isolated for one.",
                    )


def _versions(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem if groups on one host need different versions of the ordinary command."""
    versions: dict[str, Developers] = {}
    for group in fleet.developers.values():
        for host in group.hosts if group.scope != "isolated" else ():
            other = versions.setdefault(host, group)
            if other.version != group.version:
                yield fleet.document.problem(
                    ("developers", group.name, "version"),
                    f"is {group.version}, but '{other.name}' has {other.version}, and {host} can "
                    "have one version only.",
                    "Write the same version for both groups, or scope: isolated for one.",
                )
                break


def _commands(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem if isolated groups on one host have the same command."""
    taken: dict[tuple[str, str], str] = {}
    for group in fleet.developers.values():
        for host in group.hosts if group.scope == "isolated" else ():
            other = taken.setdefault((host, group.command), group.name)
            if other != group.name:
                yield fleet.document.problem(
                    ("developers", group.name),
                    f"has the command '{group.command}' on {host}, and so does '{other}'.",
                    f"Choose another name: command: claude-{group.name}.",
                )
                break


def _policies(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem if a group differs from the managed settings of its host, which win."""

    @cache
    def settings_of(name: str) -> Mapping[Path, Any]:
        derived = settings(fleet, fleet.developers[name])
        return {path: setting.value for path, setting in derived.items()}

    groups = [group for group in fleet.developers.values() if _is_derivable(fleet, group)]
    policies: dict[str, Developers] = {}
    for group in groups:
        for host in group.hosts if group.scope == "managed" else ():
            policies.setdefault(host, group)
    for group in groups:
        reported = set()
        for host in group.hosts:
            policy = policies.get(host)
            if policy is None or policy is group or policy.name in reported:
                continue
            reported.add(policy.name)
            both = group.scope == "managed"
            if names := _differing(settings_of(policy.name), settings_of(group.name), both):
                yield fleet.document.problem(
                    ("developers", group.name),
                    f"differs from '{policy.name}', whose managed settings win on {host}: "
                    f"{', '.join(names)}.",
                    "Write the same values in both groups, or move one to other hosts.",
                )


def _differing(policy: Mapping[Path, Any], own: Mapping[Path, Any], both: bool) -> list[str]:
    """Return the conflicting settings of two groups, as dotted names.

    ``both``: both groups define managed settings, and must be equal. Otherwise only settings that
    both groups have can conflict, except lists of permissions, which Claude Code merges.
    """
    paths = policy.keys() | own.keys() if both else policy.keys() & own.keys()
    return sorted(
        dotted(path)
        for path in paths
        if policy.get(path) != own.get(path)
        and (both or path[0] != "permissions" or not isinstance(own[path], list))
    )


def _is_derivable(fleet: Fleet, group: Developers) -> bool:
    """Return whether the settings of a group can be derived; if not, other checks report why."""
    gateway, model = fleet.gateway, fleet.find(group.model)
    names = [*(tier for tier in table("claude_code") if tier in fleet.aliases)]
    names += [group.subagent_model] if group.subagent_model else []
    servers = fleet.load_balancer.hosts if fleet.load_balancer else gateway.hosts if gateway else ()
    return (
        gateway is not None
        and (bool(gateway.url) or (bool(servers) and set(servers[:1]) <= fleet.hosts.keys()))
        and model is not None
        and (isinstance(model, ProviderModel) or engine_of(model).is_known(model))
        and all(fleet.find(name) for name in names)
        and isinstance(group.settings.get("env", {}), dict)
    )
