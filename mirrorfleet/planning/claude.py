"""The Claude Code clients of each host: releases, machine policy, mirrors, and who works there."""

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
from mirrorfleet.planning.provenance import comes
from mirrorfleet.planning.settings import certificates, nested, settings


@dataclass(frozen=True)
class ClientPlan:
    """One developer on one host, as a member of one group.

    ``settings`` and ``state`` are the keys that the fleet owns in ``settings.json`` of the
    directory and in ``.claude.json``; nested mappings are merged key by key, all else is the
    developer's.
    """

    user: str = comes("developers.{group}.users", "developers.{group}.seats.{host}")
    group: str = comes("developers.{group}")
    scope: Scope = comes("developers.{group}.scope")
    directory: str = comes(
        "developers.{group}.scope",
        "developers.{group}.command",
        because="below the home directory: a mirror has one of its own",
    )
    settings: Mapping[str, Any] = comes("developers.{group}")
    state: Mapping[str, Any] = comes(
        because="a first run would otherwise ask for a login at the vendor's"
    )
    person: str = comes(
        "developers.{group}.people",
        "developers.{group}",
        because="the login, if the group does not say who sits behind it",
    )
    key: Key = comes(
        "keys.people.{person}.key",
        "developers.{group}.key",
        "keys.root",
        because="derived from the root for each person, where the file names no key",
    )


@dataclass(frozen=True)
class PolicyPlan:
    """What holds for everybody on a host."""

    group: str = comes("developers.{group}")
    settings: Mapping[str, Any] = comes("developers.{group}")


@dataclass(frozen=True)
class MirrorPlan:
    """A second command on a host, with a directory of its own in each home."""

    command: str = comes("developers.{group}.command", because="of the group's name, if not said")
    group: str = comes("developers.{group}")
    version: str = comes("developers.{group}.version")
    directory: str = comes("developers.{group}.command")

    @property
    def name(self) -> str:
        return self.command


@dataclass(frozen=True)
class CertificatesPlan:
    """A file of certificates that clients on a host read; ``source`` is pushed there, if any."""

    group: str = comes("developers.{group}")
    path: str = comes("developers.{group}.ca_certificates")
    source: Path | None = comes("developers.{group}.ca_certificates.push")

    @property
    def name(self) -> str:
        return self.group


@dataclass(frozen=True)
class ClaudePlan:
    """The Claude Code clients of one host.

    ``version`` is that of the ordinary command, ``None`` where all are mirrors. ``managed`` is the
    machine's policy, ``None`` where there is none.
    """

    version: str | None = comes(
        "developers", because="one release per host, the same in all its groups but mirrors"
    )
    managed: PolicyPlan | None = comes("developers", because="of the group with that scope")
    locks: Mapping[str, Path] = comes(
        "developers", because="by release: yours in locks/, else the shipped one"
    )
    mirrors: tuple[MirrorPlan, ...] = comes("developers")
    certificates: tuple[CertificatesPlan, ...] = comes("developers")
    users: tuple[ClientPlan, ...] = comes("developers")

    @property
    def versions(self) -> tuple[str, ...]:
        """Every release on the host, the ordinary command's first."""
        own = [self.version] if self.version else []
        return tuple(dict.fromkeys([*own, *(mirror.version for mirror in self.mirrors)]))


@dataclass(frozen=True)
class _Policy:
    """What holds for all of a group, worked out once however many they are.

    ``own`` are the settings of those whose keys open other models than the group's.
    """

    group: Developers
    settings: Mapping[str, Any]
    own: Mapping[str, Mapping[str, Any]]

    @property
    def mirror(self) -> bool:
        return self.group.scope == "mirror"

    @property
    def directory(self) -> str:
        return f".{self.group.command}" if self.mirror else ".claude"

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
    ordinary = [policy for policy in policies if not policy.mirror]
    managed = [policy for policy in policies if policy.group.scope == "managed"]
    pushed = dict.fromkeys(policy.certificates for policy in policies)
    releases = dict.fromkeys(policy.group.version for policy in policies)
    return ClaudePlan(
        version=ordinary[0].group.version if ordinary else None,
        managed=PolicyPlan(managed[0].group.name, managed[0].settings) if managed else None,
        locks={each: fleet.locks.path("claude", each) for each in releases},
        mirrors=tuple(_mirror(policy) for policy in policies if policy.mirror),
        certificates=tuple(each for each in pushed if each),
        users=tuple(
            _client(fleet, policy, host, user)
            for policy in policies
            for user in policy.group.seats[host]
        ),
    )


def _mirror(policy: _Policy) -> MirrorPlan:
    group = policy.group
    return MirrorPlan(group.command, group.name, group.version, policy.directory)


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
