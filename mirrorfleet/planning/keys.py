"""The developers' keys: the models that each allows, and the hosts that store it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.key_derivation import DerivedKey, Key
from mirrorfleet.config.key_holders import allowed, holder, places
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class KeyPlan:
    """One key.

    ``models``: the models that it allows; empty: all. ``expires``: its last day, YYYY-MM-DD.
    ``hosts``: the hosts that store it in a home directory.
    """

    name: str = derived_from(
        "keys.people.{name}",
        "developers.{group}.people",
        "developers.{group}",
        reason="the person's login, or the name in 'people'; for a shared key, the group's name",
    )
    group: str = derived_from("developers.{group}")
    key: Key = derived_from(
        "keys.people.{name}.key",
        "developers.{group}.key",
        "keys.root",
        reason="derived from the root for each person, if the file has no key",
    )
    models: tuple[str, ...] = derived_from("keys.people.{name}.models", "developers.{group}.models")
    expires: str | None = derived_from("keys.people.{name}.expires", "developers.{group}.expires")
    revoked: bool = derived_from("keys.revoked")
    hosts: tuple[str, ...] = derived_from("developers.{group}")


def keys(fleet: Fleet) -> tuple[KeyPlan, ...]:
    """Return all keys of a checked fleet: one per person, or per group with a shared key."""
    plans: dict[str, KeyPlan] = {}
    hosts: dict[str, dict[str, None]] = {}
    for group in fleet.developers.values():
        for host, login in places(group):
            name = holder(group, host, login)
            hosts.setdefault(name, {})[host] = None
            if name not in plans:
                plans[name] = _key(fleet, group, name)
    return tuple(replace(plan, hosts=tuple(hosts[name])) for name, plan in plans.items())


def key_of(fleet: Fleet, group: Developers, name: str) -> Key:
    """Return the key of a person, or of a group with a shared key, as a reference."""
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
