"""The Claude Code clients of each host: releases, machine policy, isolated clients, users."""

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
from mirrorfleet.planning.keys import key_of
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.settings import certificates, nested, settings


@dataclass(frozen=True)
class ClientPlan:
    """One developer on one host, as a member of one group.

    ``settings`` and ``state`` are the keys that the fleet owns in ``settings.json`` of the
    directory and in ``.claude.json``; nested mappings are merged key by key, all else is the
    developer's.
    """

    user: str = derived_from("developers.{group}.users", "developers.{group}.seats.{host}")
    group: str = derived_from("developers.{group}")
    scope: Scope = derived_from("developers.{group}.scope")
    directory: str = derived_from(
        "developers.{group}.scope",
        "developers.{group}.command",
        reason="below the home directory: an isolated group has one of its own",
    )
    settings: Mapping[str, Any] = derived_from("developers.{group}")
    state: Mapping[str, Any] = derived_from(
        reason="a first run would otherwise ask for a login at the vendor's"
    )
    person: str = derived_from(
        "developers.{group}.people",
        "developers.{group}",
        reason="the login, if the group does not say who sits behind it",
    )
    key: Key = derived_from(
        "keys.people.{person}.key",
        "developers.{group}.key",
        "keys.root",
        reason="derived from the root for each person, where the file names no key",
    )


@dataclass(frozen=True)
class PolicyPlan:
    """What holds for everybody on a host."""

    group: str = derived_from("developers.{group}")
    settings: Mapping[str, Any] = derived_from("developers.{group}")


@dataclass(frozen=True)
class IsolatedPlan:
    """A second command on a host, with a directory of its own in each home."""

    command: str = derived_from(
        "developers.{group}.command", reason="of the group's name, if not said"
    )
    group: str = derived_from("developers.{group}")
    version: str = derived_from("developers.{group}.version")
    directory: str = derived_from("developers.{group}.command")

    @property
    def name(self) -> str:
        return self.command


@dataclass(frozen=True)
class CertificatesPlan:
    """A file of certificates that clients on a host read; ``source`` is pushed there, if any."""

    group: str = derived_from("developers.{group}")
    path: str = derived_from("developers.{group}.ca_certificates")
    source: Path | None = derived_from("developers.{group}.ca_certificates.push")

    @property
    def name(self) -> str:
        return self.group


@dataclass(frozen=True)
class ClaudePlan:
    """The Claude Code clients of one host.

    ``version`` is that of the ordinary command, ``None`` where all are isolated. ``managed`` is the
    machine's policy, ``None`` where there is none.
    """

    version: str | None = derived_from(
        "developers",
        reason="one release per host, the same in all its groups that are not isolated",
    )
    managed: PolicyPlan | None = derived_from("developers", reason="of the group with that scope")
    locks: Mapping[str, Path] = derived_from(
        "developers", reason="by release: yours in locks/, else the shipped one"
    )
    isolated: tuple[IsolatedPlan, ...] = derived_from("developers")
    certificates: tuple[CertificatesPlan, ...] = derived_from("developers")
    users: tuple[ClientPlan, ...] = derived_from("developers")

    @property
    def versions(self) -> tuple[str, ...]:
        """Every release on the host, the ordinary command's first."""
        own = [self.version] if self.version else []
        return tuple(dict.fromkeys([*own, *(each.version for each in self.isolated)]))


@dataclass(frozen=True)
class _Policy:
    """What holds for all of a group, worked out once however many they are.

    ``own`` are the settings of those whose keys open other models than the group's.
    """

    group: Developers
    settings: Mapping[str, Any]
    own: Mapping[str, Mapping[str, Any]]

    @property
    def isolated(self) -> bool:
        return self.group.scope == "isolated"

    @property
    def directory(self) -> str:
        return f".{self.group.command}" if self.isolated else ".claude"

    @cached_property
    def certificates(self) -> CertificatesPlan | None:
        path, said = certificates(self.group), self.group.ca_certificates
        if path is None or said is None:
            return None
        return CertificatesPlan(self.group.name, path, _pushed(said))


def claude(fleet: Fleet) -> dict[str, ClaudePlan]:
    """Derive the clients of every host on which somebody works."""
    found: dict[str, list[_Policy]] = {}
    for group in fleet.developers.values():
        policy = _policy(fleet, group)
        for host in group.hosts:
            found.setdefault(host, []).append(policy)
    return {host: _clients(fleet, host, policies) for host, policies in found.items()}


def packaged(fleet: Fleet, group: Developers, login: str) -> ClaudePlan:
    """Derive the clients of a machine that is no host of the fleet, where ``login`` works."""
    policy = _policy(fleet, group)
    alone = replace(group, seats={"": (login,)})
    return _clients(fleet, "", [replace(policy, group=alone)])


def _policy(fleet: Fleet, group: Developers) -> _Policy:
    models = {name: allowed(fleet, group, name) for name in fleet.keys.people}
    own = {
        name: nested(settings(fleet, group, its))
        for name, its in models.items()
        if its != opened(fleet, group)
    }
    return _Policy(group, nested(settings(fleet, group)), own)


def _clients(fleet: Fleet, host: str, policies: list[_Policy]) -> ClaudePlan:
    ordinary = [policy for policy in policies if not policy.isolated]
    managed = [policy for policy in policies if policy.group.scope == "managed"]
    pushed = dict.fromkeys(policy.certificates for policy in policies)
    releases = dict.fromkeys(policy.group.version for policy in policies)
    return ClaudePlan(
        version=ordinary[0].group.version if ordinary else None,
        managed=PolicyPlan(managed[0].group.name, managed[0].settings) if managed else None,
        locks={each: fleet.locks.path("claude", each) for each in releases},
        isolated=tuple(_isolated(policy) for policy in policies if policy.isolated),
        certificates=tuple(each for each in pushed if each),
        users=tuple(
            _client(fleet, policy, host, user)
            for policy in policies
            for user in policy.group.seats[host]
        ),
    )


def _isolated(policy: _Policy) -> IsolatedPlan:
    group = policy.group
    return IsolatedPlan(group.command, group.name, group.version, policy.directory)


def _client(fleet: Fleet, policy: _Policy, host: str, user: str) -> ClientPlan:
    group, person = policy.group, policy.group.person(host, user)
    return ClientPlan(
        user=user,
        group=group.name,
        scope=group.scope,
        directory=policy.directory,
        # Machine policy stands in one file of the host; in a home it would be said twice.
        settings={} if group.scope == "managed" else policy.own.get(person, policy.settings),
        state={"hasCompletedOnboarding": True},
        person=person,
        key=key_of(fleet, group, person),
    )


def _pushed(said: Certificates) -> Path | None:
    return Path(said.source) if said.kind == "push" else None
