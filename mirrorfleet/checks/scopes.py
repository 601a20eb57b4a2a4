"""Groups on the same host with conflicting users, versions, commands or policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from mirrorfleet.config import Developers, Fleet, ProviderModel
from mirrorfleet.config.client_ids import TIERS
from mirrorfleet.config.problems import Problem, dotted
from mirrorfleet.engines.registry import engine_of
from mirrorfleet.planning.claude_files import directory
from mirrorfleet.planning.setting import Path
from mirrorfleet.planning.settings import settings

CERTIFICATES: Path = ("env", "NODE_EXTRA_CA_CERTS")


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
        group = fleet.developers[name]
        values = {path: setting.value for path, setting in settings(fleet, group).items()}
        # Each group has its own copies of files: the files are compared, and not their paths.
        if CERTIFICATES in values:
            values[CERTIFICATES] = group.ca_certificates
        return {path: _without_directory(value, group) for path, value in values.items()}

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


def _without_directory(value: Any, group: Developers) -> Any:
    """Return a value with the group's files in place of paths in their directory."""
    if isinstance(value, dict):
        return {name: _without_directory(inner, group) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_directory(inner, group) for inner in value]
    if isinstance(value, str) and (path := directory(group.name)) in value:
        return value.replace(path, ""), group.files
    return value


def _is_derivable(fleet: Fleet, group: Developers) -> bool:
    """Return whether the settings of a group can be derived; if not, other checks report why."""
    gateway, model = fleet.entry, fleet.find(group.model)
    names = [*(tier for tier in TIERS if tier in fleet.aliases)]
    names += [group.subagent_model] if group.subagent_model else []
    server = fleet.load_balancer or fleet.gateway
    servers = server.hosts if server else ()
    return (
        gateway is not None
        and (bool(gateway.url) or (bool(servers) and set(servers[:1]) <= fleet.hosts.keys()))
        and model is not None
        and (isinstance(model, ProviderModel) or engine_of(model).is_known(model))
        and all(fleet.find(name) for name in names)
        and isinstance(group.settings.get("env", {}), dict)
    )
