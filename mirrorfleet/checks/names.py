"""Names that are not defined in the fleet file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mirrorfleet.config import Fleet, ProviderModel
from mirrorfleet.config.key_holders import holder, places
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.config.wildcards import matching


class _Reference(NamedTuple):
    """A name at ``key``; ``known`` are the defined names of its ``kind``."""

    key: Key
    name: str
    known: frozenset[str]
    kind: str


SECTIONS = {
    "host": ["hosts"],
    "model": ["models"],
    "model or alias": ["models", "aliases"],
    "group": ["developers"],
}
"""Sections that define the names of a kind."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for reference in (*_hosts(fleet), *_models(fleet), *_gateway(fleet), *_people(fleet)):
        if reference.kind == "model or alias" and matching(reference.known, reference.name):
            continue
        if reference.name not in reference.known:
            yield fleet.document.problem(
                reference.key,
                f"{reference.kind} '{reference.name}' does not exist in this file.",
                did_you_mean(reference.name, reference.known),
                given=tuple((section,) for section in SECTIONS.get(reference.kind, ())),
            )
    for key in _host_lists(fleet):
        yield from _unmatched_labels(fleet, key)


def _hosts(fleet: Fleet) -> Iterator[_Reference]:
    known = fleet.document.names("hosts")
    for key in _host_lists(fleet):
        hosts = _value(fleet, key)
        if isinstance(hosts, list):
            for index, name in enumerate(hosts):
                yield _Reference((*key, index), name, known, "host")
    for host in fleet.hosts.values():
        if host.jump:
            yield _Reference(("hosts", host.name, "jump"), host.jump, known, "host")
    if fleet.ssh.jump:
        yield _Reference(("ssh", "jump"), fleet.ssh.jump, known, "host")
    for group in fleet.developers.values():
        if "seats" in fleet.document.data["developers"][group.name]:
            for name in group.users_by_host:
                yield _Reference(("developers", group.name, "seats", name), name, known, "host")


def _gateway(fleet: Fleet) -> Iterator[_Reference]:
    """Yield the models and hosts in the gateway's options."""
    known, gateway = fleet.document.names("models"), fleet.gateway
    if gateway is None:
        return
    yield from _references(
        ("gateway", "forward_client_headers"), gateway.forward_client_headers, known
    )
    yield from _references(("gateway", "probe"), gateway.probe or (), known)
    for name in {**gateway.limits.models, **gateway.limits.turns.models}:
        yield _Reference(("gateway", "limits", "models", name), name, known, "model")
    for name in gateway.limits.turns.groups:
        groups = fleet.document.names("developers")
        yield _Reference(("gateway", "limits", "groups", name), name, groups, "group")
    for budget in gateway.budgets.values():
        yield from _references(("gateway", "budgets", budget.name, "models"), budget.models, known)
        if budget.per != "person":
            section = {"group": "developers", "model": "models"}[budget.per]
            names = fleet.document.names(section)
            for name in budget.exceptions:
                key: Key = ("gateway", "budgets", budget.name, "exceptions", name)
                yield _Reference(key, name, names, budget.per)
    if gateway.redis and gateway.redis.install:
        hosts = fleet.document.names("hosts")
        yield _Reference(("gateway", "redis", "install"), gateway.redis.install, hosts, "host")
    if gateway.database and gateway.database.install:
        hosts = fleet.document.names("hosts")
        yield _Reference(
            ("gateway", "database", "install"), gateway.database.install, hosts, "host"
        )
    if passthrough := gateway.anthropic_passthrough:
        yield _Reference(("gateway", "anthropic_passthrough"), passthrough, known, "model")


def _host_lists(fleet: Fleet) -> Iterator[Key]:
    """Yield the keys that select hosts by name or by label."""
    for name, model in fleet.models.items():
        if not isinstance(model, ProviderModel) and not model.url:
            yield ("models", name, "hosts")
    if fleet.gateway:
        yield ("gateway", "hosts")
    if fleet.load_balancer:
        yield ("load_balancer", "hosts")
    for name in fleet.developers:
        if "hosts" in fleet.document.data["developers"][name]:
            yield ("developers", name, "hosts")


def _value(fleet: Fleet, key: Key) -> object:
    value = fleet.document.data
    for part in key:
        value = value[part]
    return value


def _unmatched_labels(fleet: Fleet, key: Key) -> Iterator[Problem]:
    """Yield a problem for labels that no host has, alone or together."""
    selector = _value(fleet, key)
    if not isinstance(selector, dict):
        return
    labels, hosts = selector["labels"], fleet.hosts.values()
    known = {label for host in hosts for label in host.labels}
    given: tuple[Key, ...] = tuple(
        ("hosts", name, "labels") for name in fleet.document.names("hosts")
    )
    unknown = [label for label in labels if label not in known]
    for label in unknown:
        yield fleet.document.problem(
            (*key, "labels", labels.index(label)),
            f"no host has the label '{label}'.",
            did_you_mean(label, known),
            given=(("hosts",), *given),
        )
    if not unknown and not any(set(labels).issubset(host.labels) for host in hosts):
        yield fleet.document.problem(
            (*key, "labels"),
            "no host has all of these labels.",
            "Remove labels, or add them to a host.",
            given=given,
        )


def _models(fleet: Fleet) -> Iterator[_Reference]:
    models = fleet.document.names("models")
    known = models | fleet.document.names("aliases")
    for name, target in fleet.aliases.items():
        yield _Reference(("aliases", name), target, known, "model or alias")
    for section, fallbacks in fleet.fallback_lists.items():
        for name, targets in fallbacks.items():
            yield _Reference((section, name), name, known, "model or alias")
            yield from _references((section, name), targets, known, "model or alias")
    for name, group in fleet.developers.items():
        yield _Reference(("developers", name, "model"), group.model, known, "model or alias")
        if group.subagent_model:
            key: Key = ("developers", name, "subagent_model")
            yield _Reference(key, group.subagent_model, known, "model or alias")
        yield from _references(
            ("developers", name, "models"), group.models, known, "model or alias"
        )
        servers = frozenset(
            server.name for server in (fleet.gateway.mcp_servers if fleet.gateway else ())
        )
        place: Key = ("developers", name, "mcp_servers")
        yield from _references(place, group.mcp_servers, servers, "MCP server")
    for name, own in fleet.keys.people.items():
        yield from _references(
            ("keys", "people", name, "models"), own.models, known, "model or alias"
        )


def _people(fleet: Fleet) -> Iterator[_Reference]:
    """Yield the people and logins that the options of keys refer to."""
    if any(key[0] == "developers" for key in fleet.document.lost):
        return  # people may be in the removed, invalid parts
    people: set[str] = set()
    groups: set[str] = set()
    for name, group in fleet.developers.items():
        logins = set()
        for host, login in places(group):
            logins |= {login, f"{login}@{host}"}
            (groups if group.key else people).add(holder(group, host, login))
        for login in group.people:
            yield _Reference(
                ("developers", name, "people", login), login, frozenset(logins), "login"
            )
    for name in fleet.keys.people:
        yield _Reference(("keys", "people", name), name, frozenset(people), "person")
    everybody = frozenset(people | groups)
    gateway = fleet.gateway
    for name in gateway.limits.turns.people if gateway else ():
        yield _Reference(("gateway", "limits", "people", name), name, everybody, "person")
    for budget in gateway.budgets.values() if gateway else ():
        for name in budget.exceptions if budget.per == "person" else ():
            key = ("gateway", "budgets", budget.name, "exceptions", name)
            yield _Reference(key, name, everybody, "person")
    for index, name in enumerate(fleet.keys.revoked):
        yield _Reference(("keys", "revoked", index), name, everybody, "person")


def _references(
    key: Key, names: Iterable[str], known: frozenset[str], kind: str = "model"
) -> Iterator[_Reference]:
    for index, name in enumerate(names):
        yield _Reference((*key, index), name, known, kind)
