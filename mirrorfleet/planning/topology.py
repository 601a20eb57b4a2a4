"""The topology of a fleet as a Mermaid flow chart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mirrorfleet.config import (
    Developers,
    EngineModel,
    Fleet,
    Gateway,
    GatewayModel,
    Model,
    ProviderModel,
)
from mirrorfleet.engines.registry import engine_of

SHOWN = 3
"""Most hosts to list by name; for more, the chart has their number."""


def mermaid(fleet: Fleet) -> str:
    """Return the chart as Mermaid text, which GitHub and most editors render."""
    return "\n".join(["flowchart LR", *(f"    {line}" for line in _lines(fleet))]) + "\n"


def _lines(fleet: Fleet) -> Iterator[str]:
    for group in fleet.developers.values():
        yield _node(f"developers_{group.name}", f"developers: {group.name}", _people(group))
    if fleet.gateway:
        yield _node("gateway", "LiteLLM", _some(fleet.gateway.hosts))
        if fleet.load_balancer:
            yield _node("load_balancer", "HAProxy", _some(fleet.load_balancer.hosts))
            yield "load_balancer --> gateway"
        server = "load_balancer" if fleet.load_balancer else "gateway"
        for group in fleet.developers.values():
            yield f"{_name(f'developers_{group.name}')} -->|{group.model}| {server}"
        yield from _stores(fleet.gateway)
    if fleet.external_gateway:
        yield _node("gateway", "external gateway", fleet.external_gateway.url)
        for group in fleet.developers.values():
            yield f"{_name(f'developers_{group.name}')} -->|{group.model}| gateway"
    for model in fleet.models.values():
        yield _node(f"model_{model.name}", model.name, *_served(model))
        if fleet.entry:
            names = fleet.names(model)
            yield f"gateway -->{_label(names)} {_name(f'model_{model.name}')}"
    for reason, fallbacks in (
        ("fallback", fleet.fallbacks),
        ("longer prompts", fleet.context_window_fallbacks),
        ("rejected content", fleet.content_policy_fallbacks),
    ):
        for name, targets in fallbacks.items():
            for target in targets:
                yield f"{_name(f'model_{name}')} -. {reason} .-> {_name(f'model_{target}')}"


def _stores(gateway: Gateway) -> Iterator[str]:
    """Yield the Redis and Postgres that Mirrorfleet installs, and a database of your own."""
    for store, name in ((gateway.redis, "Redis"), (gateway.database, "Postgres")):
        if store and store.install:
            yield _node(name.lower(), name, store.install)
            yield f"gateway --- {name.lower()}"
    if gateway.database and gateway.database.url:
        yield _node("postgres", "Postgres", "your own")
        yield "gateway --- postgres"


def _people(group: Developers) -> str:
    count = len(group.packaged) or sum(len(set(users)) for users in group.users_by_host.values())
    where = "with packages" if group.packaged else f"on {_some(group.hosts)}"
    return f"{count} user{'' if count == 1 else 's'} {where}"


def _served(model: Model) -> Iterator[str]:
    if isinstance(model, ProviderModel):
        for deployment in model.deployments:
            name = deployment.prefix if deployment.provider == "litellm" else deployment.provider
            yield f"{name}: {deployment.id}"
    elif isinstance(model, GatewayModel):
        yield f"{model.context // 1024}K window"
    else:
        where = f"at {model.url}" if model.url else f"on {_some(_replicas(model))}"
        yield f"{engine_of(model).title} {where}"
        yield f"{model.context // 1024}K window"


def _replicas(model: EngineModel) -> tuple[str, ...]:
    return tuple(" + ".join(hosts) for hosts in model.replicas)


def _node(name: str, *lines: str) -> str:
    text = "<br>".join(line.replace('"', "'") for line in lines)
    return f'{_name(name)}["{text}"]'


def _name(text: str) -> str:
    """Return an identifier for Mermaid, without dots, dashes and others, which are syntax."""
    plain = text.replace(".", "__").replace("-", "_")
    return re.sub("[^A-Za-z0-9_]", lambda found: f"_{ord(found[0]):x}_", plain)


def _label(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return f"|{text}|" if text else ""


def _some(hosts: tuple[str, ...]) -> str:
    return ", ".join(hosts) if len(hosts) <= SHOWN else f"{len(hosts)} hosts"
