"""Whose keys open the gateways, what each of them opens, and on which hosts it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.key_derivation import DerivedKey, Key
from mirrorfleet.config.key_holders import allowed, holder, places
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class KeyPlan:
    """One key. ``models`` are all that it opens, none said being all.

    ``expires`` is its last day. ``hosts`` are where it lies in a developer's home.
    """

    name: str = derived_from(
        "keys.people.{name}",
        "developers.{group}.people",
        "developers.{group}",
        reason="the person's login, or what the group says; the group's name, where all share one",
    )
    group: str = derived_from("developers.{group}")
    key: Key = derived_from(
        "keys.people.{name}.key",
        "developers.{group}.key",
        "keys.root",
        reason="derived from the root for each person, where the file names no key",
    )
    models: tuple[str, ...] = derived_from("keys.people.{name}.models", "developers.{group}.models")
    expires: str | None = derived_from("keys.people.{name}.expires", "developers.{group}.expires")
    revoked: bool = derived_from("keys.revoked")
    hosts: tuple[str, ...] = derived_from("developers.{group}")


def keys(fleet: Fleet) -> tuple[KeyPlan, ...]:
    """Return every key of a fleet that has been checked: each person's, or each group's, once."""
    found: dict[str, KeyPlan] = {}
    seats: dict[str, dict[str, None]] = {}
    for group in fleet.developers.values():
        for host, login in places(group):
            name = holder(group, host, login)
            seats.setdefault(name, {})[host] = None
            if name not in found:
                found[name] = _key(fleet, group, name)
    return tuple(replace(each, hosts=tuple(seats[name])) for name, each in found.items())


def key_of(fleet: Fleet, group: Developers, name: str) -> Key:
    """Return where the key of a person comes from, or of a group that shares one."""
    own = fleet.keys.people.get(name)
    if group.key:
        return group.key
    if own and own.key:
        return own.key
    root = checked(fleet.keys.root, "keys.root")
    numbers = (fleet.keys.rotation, group.rotation, own.rotation if own else 1)
    return DerivedKey(root, fleet.name, name, numbers)


def _key(fleet: Fleet, group: Developers, name: str) -> KeyPlan:
    own = fleet.keys.people.get(name)
    return KeyPlan(
        name=name,
        group=group.name,
        key=key_of(fleet, group, name),
        models=allowed(fleet, group, name),
        expires=(own.expires if own and not group.key else None) or group.expires,
        revoked=name in fleet.keys.revoked,
        hosts=(),
    )
