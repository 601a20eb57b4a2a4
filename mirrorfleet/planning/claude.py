"""Claude Code on each host: releases, managed settings, isolated commands, users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.developers import Certificates, Scope
from mirrorfleet.config.key_derivation import Key
from mirrorfleet.config.key_holders import allowed, opened
from mirrorfleet.planning.claude_files import FilesPlan, files_plan, links, servers
from mirrorfleet.planning.connection import certificates
from mirrorfleet.planning.keys import key_of
from mirrorfleet.planning.mcp import mcp_servers
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.settings import nested, settings


@dataclass(frozen=True)
class ClientPlan:
    """One user on one host, as a member of one group.

    ``settings`` and ``state`` are the keys that Mirrorfleet manages in ``settings.json`` of
    ``directory`` and in ``.claude.json``. Nested mappings are merged by key. All other keys stay.
    """

    user: str = derived_from("developers.{group}.users", "developers.{group}.seats.{host}")
    group: str = derived_from("developers.{group}")
    scope: Scope = derived_from("developers.{group}.scope")
    directory: str = derived_from(
        "developers.{group}.scope",
        "developers.{group}.command",
        reason="relative to the home directory; isolated groups have their own directory",
    )
    settings: Mapping[str, Any] = derived_from("developers.{group}")
    state: Mapping[str, Any] = derived_from(
        "developers.{group}.mcp_servers",
        "developers.{group}.files",
        reason="also hasCompletedOnboarding: otherwise the first session requires a login at the "
        "vendor; the files' servers come from .mcp.json",
    )
    person: str = derived_from(
        "developers.{group}.people",
        "developers.{group}",
        reason="the login, if the group has no 'people'",
    )
    key: Key = derived_from(
        "keys.people.{person}.key",
        "developers.{group}.key",
        "keys.root",
        reason="derived from the root for each person, if the file has no key",
    )
    links: Mapping[str, str] = derived_from(
        "developers.{group}.files",
        reason="where the client looks for skills, agents, commands, rules and output styles",
    )
    key_helper: str | None = derived_from("developers.{group}.key_helper")


@dataclass(frozen=True)
class PolicyPlan:
    """The managed settings of a host, for all its users."""

    group: str = derived_from("developers.{group}")
    settings: Mapping[str, Any] = derived_from("developers.{group}")
    links: Mapping[str, str] = derived_from("developers.{group}.files")


@dataclass(frozen=True)
class IsolatedPlan:
    """A further command on a host, with its own settings directory in each home directory."""

    command: str = derived_from(
        "developers.{group}.command", reason="if unset, claude- and the group's name"
    )
    group: str = derived_from("developers.{group}")
    version: str = derived_from("developers.{group}.version")
    directory: str = derived_from("developers.{group}.command")
    key_helper: str | None = derived_from("developers.{group}.key_helper")

    @property
    def name(self) -> str:
        return self.command


@dataclass(frozen=True)
class CertificatesPlan:
    """CA certificates for clients on a host; ``source``, if set, is uploaded to ``path``."""

    group: str = derived_from("developers.{group}")
    path: str = derived_from("developers.{group}.ca_certificates")
    source: Path | None = derived_from("developers.{group}.ca_certificates.push")

    @property
    def name(self) -> str:
        return self.group


@dataclass(frozen=True)
class ClaudePlan:
    """The Claude Code clients of one host.

    ``version``: release of the ordinary command, ``None`` if all groups are isolated. ``managed``:
    the managed settings, ``None`` if there are none.
    """

    version: str | None = derived_from(
        "developers",
        reason="one release per host, the same for all groups that are not isolated",
    )
    managed: PolicyPlan | None = derived_from("developers", reason="the group with scope: managed")
    locks: Mapping[str, Path] = derived_from(
        "developers", reason="by release: the project's, else the shipped one"
    )
    isolated: tuple[IsolatedPlan, ...] = derived_from("developers")
    certificates: tuple[CertificatesPlan, ...] = derived_from("developers")
    status_line: bool = derived_from("developers", reason="whether a group of the host has one")
    files: tuple[FilesPlan, ...] = derived_from("developers")
    users: tuple[ClientPlan, ...] = derived_from("developers")
    external_gateway: str | None = derived_from(
        "gateway.url", reason="set if somebody else operates the gateway, for the fixes of `verify`"
    )

    @property
    def versions(self) -> tuple[str, ...]:
        """Return all releases on the host, that of the ordinary command first."""
        own = [self.version] if self.version else []
        return tuple(dict.fromkeys([*own, *(command.version for command in self.isolated)]))


@dataclass(frozen=True)
class _Policy:
    """The derived settings of a group, shared by all its users.

    ``own``: settings by person, for people whose keys allow other models than the group's.
    """

    group: Developers
    settings: Mapping[str, Any]
    own: Mapping[str, Mapping[str, Any]]
    state: Mapping[str, Any]

    @property
    def is_isolated(self) -> bool:
        return self.group.scope == "isolated"

    @property
    def directory(self) -> str:
        return f".{self.group.command}" if self.is_isolated else ".claude"

    @cached_property
    def certificates(self) -> CertificatesPlan | None:
        path, config = certificates(self.group), self.group.ca_certificates
        if path is None or config is None:
            return None
        return CertificatesPlan(self.group.name, path, _upload_source(config))


def claude(fleet: Fleet) -> dict[str, ClaudePlan]:
    """Derive the clients of every host that has developers, by host."""
    policies: dict[str, list[_Policy]] = {}
    for group in fleet.developers.values():
        policy = _policy(fleet, group)
        for host in group.hosts:
            policies.setdefault(host, []).append(policy)
    return {host: _clients(fleet, host, groups) for host, groups in policies.items()}


def packaged(fleet: Fleet, group: Developers, login: str) -> ClaudePlan:
    """Derive the client of the user ``login`` on a machine that is not a host of the fleet."""
    policy = _policy(fleet, group)
    alone = replace(group, users_by_host={"": (login,)})
    return _clients(fleet, "", [replace(policy, group=alone)])


def _policy(fleet: Fleet, group: Developers) -> _Policy:
    models = {name: allowed(fleet, group, name) for name in fleet.keys.people}
    own = {
        name: nested(settings(fleet, group, own_models))
        for name, own_models in models.items()
        if own_models != opened(fleet, group)
    }
    return _Policy(group, nested(settings(fleet, group)), own, _state(fleet, group))


def _state(fleet: Fleet, group: Developers) -> dict[str, Any]:
    """Return what .claude.json must have: no first login, and the MCP servers of the group."""
    found = {**mcp_servers(fleet, group), **servers(group)}
    return {"hasCompletedOnboarding": True, **({"mcpServers": found} if found else {})}


def _clients(fleet: Fleet, host: str, policies: list[_Policy]) -> ClaudePlan:
    ordinary = [policy for policy in policies if not policy.is_isolated]
    managed = [policy for policy in policies if policy.group.scope == "managed"]
    certificates = dict.fromkeys(policy.certificates for policy in policies)
    releases = dict.fromkeys(policy.group.version for policy in policies)
    return ClaudePlan(
        version=ordinary[0].group.version if ordinary else None,
        managed=_managed(managed[0]) if managed else None,
        locks={release: fleet.locks.path("claude", release) for release in releases},
        isolated=tuple(_isolated(policy) for policy in policies if policy.is_isolated),
        certificates=tuple(file for file in certificates if file),
        status_line=any(policy.group.status_line for policy in policies),
        files=tuple(file for policy in policies if (file := files_plan(policy.group))),
        users=tuple(
            _client(fleet, policy, host, user)
            for policy in policies
            for user in policy.group.users_by_host[host]
        ),
        external_gateway=fleet.external_gateway.url if fleet.external_gateway else None,
    )


def _managed(policy: _Policy) -> PolicyPlan:
    return PolicyPlan(policy.group.name, policy.settings, links(policy.group))


def _isolated(policy: _Policy) -> IsolatedPlan:
    group = policy.group
    return IsolatedPlan(
        group.command, group.name, group.version, policy.directory, group.key_helper
    )


def _client(fleet: Fleet, policy: _Policy, host: str, user: str) -> ClientPlan:
    group, person = policy.group, policy.group.person(host, user)
    return ClientPlan(
        user=user,
        group=group.name,
        scope=group.scope,
        directory=policy.directory,
        # Managed settings are in one file of the host: the home directory needs no copy.
        settings={} if group.scope == "managed" else policy.own.get(person, policy.settings),
        state=policy.state,
        person=person,
        key=key_of(fleet, group, person),
        # The managed client reads the links of its policy.
        links={} if group.scope == "managed" else links(group),
        key_helper=group.key_helper,
    )


def _upload_source(config: Certificates) -> Path | None:
    return Path(config.source) if config.kind == "push" else None
