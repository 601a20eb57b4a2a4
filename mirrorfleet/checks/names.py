"""Names that point at nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mirrorfleet.config import Fleet, ProviderModel
from mirrorfleet.config.key_holders import holder, places
from mirrorfleet.config.problems import Key, Problem, did_you_mean


class _Use(NamedTuple):
    key: Key
    name: str
    known: frozenset[str]
    kind: str


SECTIONS = {"host": ["hosts"], "model": ["models"], "model or alias": ["models", "aliases"]}
"""Where what is named would stand."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for use in (*_hosts(fleet), *_models(fleet), *_gateway(fleet), *_people(fleet)):
        if use.name not in use.known:
            yield fleet.document.problem(
                use.key,
                f"names the {use.kind} '{use.name}', which is not in this file.",
                did_you_mean(use.name, use.known),
                given=tuple((section,) for section in SECTIONS.get(use.kind, ())),
            )
    for key in _choices(fleet):
        yield from _unmatched(fleet, key)


def _hosts(fleet: Fleet) -> Iterator[_Use]:
    known = fleet.document.names("hosts")
    for key in _choices(fleet):
        said = _said(fleet, key)
        if isinstance(said, list):
            for at, name in enumerate(said):
                yield _Use((*key, at), name, known, "host")
    for host in fleet.hosts.values():
        if host.jump:
            yield _Use(("hosts", host.name, "jump"), host.jump, known, "host")
    if fleet.ssh.jump:
        yield _Use(("ssh", "jump"), fleet.ssh.jump, known, "host")
    for group in fleet.developers.values():
        if "seats" in fleet.document.data["developers"][group.name]:
            for name in group.seats:
                yield _Use(("developers", group.name, "seats", name), name, known, "host")


def _gateway(fleet: Fleet) -> Iterator[_Use]:
    """Models that the gateway treats in a way of their own, and the hosts of what it shares."""
    known, gateway = fleet.document.names("models"), fleet.gateway
    if gateway is None:
        return
    yield from _each(("gateway", "forward_client_headers"), gateway.forward_client_headers, known)
    yield from _each(("gateway", "probe"), gateway.probe or (), known)
    for name in gateway.limits.models:
        yield _Use(("gateway", "limits", "models", name), name, known, "model")
    if gateway.redis and gateway.redis.install:
        hosts = fleet.document.names("hosts")
        yield _Use(("gateway", "redis", "install"), gateway.redis.install, hosts, "host")
    if gateway.database and gateway.database.install:
        hosts = fleet.document.names("hosts")
        yield _Use(("gateway", "database", "install"), gateway.database.install, hosts, "host")
    if passthrough := gateway.anthropic_passthrough:
        yield _Use(("gateway", "anthropic_passthrough"), passthrough, known, "model")


def _choices(fleet: Fleet) -> Iterator[Key]:
    """Yield the places where hosts are chosen, by name or by label."""
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


def _said(fleet: Fleet, key: Key) -> object:
    said = fleet.document.data
    for part in key:
        said = said[part]
    return said


def _unmatched(fleet: Fleet, key: Key) -> Iterator[Problem]:
    """Labels that no host has, or that no host has together."""
    said = _said(fleet, key)
    if not isinstance(said, dict):
        return
    labels, hosts = said["labels"], fleet.hosts.values()
    known = {label for host in hosts for label in host.labels}
    given: tuple[Key, ...] = tuple(
        ("hosts", name, "labels") for name in fleet.document.names("hosts")
    )
    unknown = [label for label in labels if label not in known]
    for label in unknown:
        yield fleet.document.problem(
            (*key, "labels", labels.index(label)),
            f"names the label '{label}', which no host has.",
            did_you_mean(label, known),
            given=(("hosts",), *given),
        )
    if not unknown and not any(set(labels).issubset(host.labels) for host in hosts):
        yield fleet.document.problem(
            (*key, "labels"),
            "chooses no host: none has all of these labels.",
            "Remove some.",
            given=given,
        )


def _models(fleet: Fleet) -> Iterator[_Use]:
    models = fleet.document.names("models")
    answers = models | fleet.document.names("aliases")
    for name, target in fleet.aliases.items():
        yield _Use(("aliases", name), target, answers, "model or alias")
    for section, said in fleet.fallback_lists.items():
        for name, targets in said.items():
            yield _Use((section, name), name, answers, "model or alias")
            yield from _each((section, name), targets, answers, "model or alias")
    for name, group in fleet.developers.items():
        yield _Use(("developers", name, "model"), group.model, answers, "model or alias")
        if group.subagent_model:
            key: Key = ("developers", name, "subagent_model")
            yield _Use(key, group.subagent_model, answers, "model or alias")
        yield from _each(("developers", name, "models"), group.models, answers, "model or alias")
    for name, own in fleet.keys.people.items():
        yield from _each(("keys", "people", name, "models"), own.models, answers, "model or alias")


def _people(fleet: Fleet) -> Iterator[_Use]:
    """Whose keys are spoken of, and behind which logins they sit."""
    if any(key[0] == "developers" for key in fleet.document.lost):
        return  # they may be in what is unsound
    people: set[str] = set()
    groups: set[str] = set()
    for name, group in fleet.developers.items():
        logins = set()
        for host, login in places(group):
            logins |= {login, f"{login}@{host}"}
            (groups if group.key else people).add(holder(group, host, login))
        for login in group.people:
            yield _Use(("developers", name, "people", login), login, frozenset(logins), "login")
    for name in fleet.keys.people:
        yield _Use(("keys", "people", name), name, frozenset(people), "person")
    for at, name in enumerate(fleet.keys.revoked):
        yield _Use(("keys", "revoked", at), name, frozenset(people | groups), "person")


def _each(
    key: Key, names: Iterable[str], known: frozenset[str], kind: str = "model"
) -> Iterator[_Use]:
    for at, name in enumerate(names):
        yield _Use((*key, at), name, known, kind)
