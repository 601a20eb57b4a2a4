"""What can be said of LiteLLM beyond where it runs: limits, routing, logs, guardrails, extras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key
from mirrorfleet.config.reader import Secret, Section

Values = Mapping[str, Any]
"""Settings by name as LiteLLM has them, at any depth, with a ``Secret`` for each reference."""


@dataclass(frozen=True)
class Rate:
    """Requests and tokens per minute that one deployment of a model takes."""

    rpm: int | None
    tpm: int | None


@dataclass(frozen=True)
class Limits:
    """What a worker takes on before it refuses, and how much each model is asked at most."""

    max_in_flight_requests_per_worker: int | None
    max_queued_requests_per_worker: int | None
    limit_concurrency: int | None
    models: Mapping[str, Rate]


def limits(said: Section) -> Limits:
    return Limits(
        max_in_flight_requests_per_worker=said.get("max_in_flight_requests_per_worker"),
        max_queued_requests_per_worker=said.get("max_queued_requests_per_worker"),
        limit_concurrency=said.get("limit_concurrency"),
        models={
            each.name: Rate(each.get("rpm"), each.get("tpm"))
            for each in said.section("models").sections()
        },
    )


@dataclass(frozen=True)
class Routing:
    """How a gateway chooses among the deployments of a model, and what it does with a bad one."""

    strategy: str
    affinity: str | None
    retries: int | None
    cooldown_time: int | None
    allowed_fails: int | None


def routing(said: Section) -> Routing:
    return Routing(
        strategy=said.get("strategy", "simple-shuffle"),
        affinity=said.get("affinity"),
        retries=said.get("retries"),
        cooldown_time=said.get("cooldown_time"),
        allowed_fails=said.get("allowed_fails"),
    )


@dataclass(frozen=True)
class Redis:
    """The memory that workers and gateways share: somebody's at ``host``, or ours on a host of the
    fleet, ``install``."""

    host: str
    install: str | None
    port: int
    username: str | None
    password: Secret | None
    ssl: bool


def redis(said: Section) -> Redis:
    return Redis(
        host=said.get("host", ""),
        install=said.get("install"),
        port=said.get("port", 6379),
        username=said.get("username"),
        password=said.secret("password"),
        ssl=said.get("ssl", False),
    )


@dataclass(frozen=True)
class Logging:
    json: bool
    level: str


def logging(said: Section) -> Logging:
    return Logging(json=said.get("json", True), level=said.get("level", "ERROR"))


@dataclass(frozen=True)
class Guardrail:
    """A check of what is asked or answered, which LiteLLM does or asks a service to do."""

    name: str
    guardrail: str
    mode: tuple[str, ...]
    parameters: Values


def guardrail(said: Section) -> Guardrail:
    mode = said["mode"]
    return Guardrail(
        name=said.name,
        guardrail=said["guardrail"],
        mode=(mode,) if isinstance(mode, str) else tuple(mode),
        parameters=values(said.section("parameters")),
    )


def values(said: Section) -> Values:
    """Return a mapping as it is said, its references to secrets as such."""
    document, key = said.document, said.key
    return {name: _value(document, (*key, name), each) for name, each in said.said.items()}


def _value(document: Document, key: Key, said: Any) -> Any:
    if is_reference(said):
        [(source, value)] = said.items()
        return Secret(source, value, document.directory(key))
    if isinstance(said, dict):
        return {name: _value(document, (*key, name), each) for name, each in said.items()}
    if isinstance(said, list):
        return [_value(document, (*key, at), each) for at, each in enumerate(said)]
    return said


def is_reference(said: Any) -> bool:
    """Does a value look like ``{env: NAME}``, ``{file: PATH}`` or ``{command: WORDS}``?"""
    return (
        isinstance(said, dict)
        and len(said) == 1
        and all(name in ("env", "file", "command") and isinstance(said[name], str) for name in said)
    )
