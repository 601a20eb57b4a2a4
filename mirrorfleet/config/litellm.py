"""LiteLLM's own options: routing, Redis, logging, guardrails and settings by its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import Key
from mirrorfleet.config.reader import Secret, Section

Values = Mapping[str, Any]
"""Settings by LiteLLM's names, nested, with a ``Secret`` for each reference to one."""


@dataclass(frozen=True)
class Routing:
    """How a gateway selects a deployment of a model, and how it treats failed ones."""

    strategy: str
    affinity: str | None
    retries: int | None
    cooldown_time: int | None
    allowed_fails: int | None


def routing(section: Section) -> Routing:
    """Read ``gateway.routing``."""
    return Routing(
        strategy=section["strategy"],
        affinity=section.get("affinity"),
        retries=section.get("retries"),
        cooldown_time=section.get("cooldown_time"),
        allowed_fails=section.get("allowed_fails"),
    )


@dataclass(frozen=True)
class Redis:
    """The Redis that workers and gateways share: an existing one at ``host``, or one to
    ``install`` on a host of the fleet."""

    host: str
    install: str | None
    port: int
    username: str | None
    password: Secret | None
    ssl: bool


def redis(section: Section) -> Redis:
    """Read ``gateway.redis``."""
    return Redis(
        host=section.get("host") or "",
        install=section.get("install"),
        port=section["port"],
        username=section.get("username"),
        password=section.secret("password"),
        ssl=section["ssl"],
    )


@dataclass(frozen=True)
class Logging:
    json: bool
    level: str


def logging(section: Section) -> Logging:
    """Read ``gateway.logging``."""
    return Logging(json=section["json"], level=section["level"])


@dataclass(frozen=True)
class Guardrail:
    """A check of prompts or answers, by LiteLLM itself or by a service that it calls."""

    name: str
    guardrail: str
    mode: tuple[str, ...]
    parameters: Values


def guardrail(section: Section) -> Guardrail:
    """Read one of ``gateway.guardrails``."""
    mode = section["mode"]
    return Guardrail(
        name=section.name,
        guardrail=section["guardrail"],
        mode=(mode,) if isinstance(mode, str) else tuple(mode),
        parameters=values(section.mapping("parameters")),
    )


def values(section: Section) -> Values:
    """Return a mapping as it is in the file, with a ``Secret`` for each reference to one."""
    document, key = section.document, section.key
    return {name: _value(document, (*key, name), each) for name, each in section.data.items()}


def _value(document: Document, key: Key, value: Any) -> Any:
    if is_reference(value):
        [(source, text)] = value.items()
        return Secret(source, text, document.directory(key))
    if isinstance(value, dict):
        return {name: _value(document, (*key, name), each) for name, each in value.items()}
    if isinstance(value, list):
        return [_value(document, (*key, at), each) for at, each in enumerate(value)]
    return value


def is_reference(value: Any) -> bool:
    """Return whether a value is ``{env: NAME}``, ``{file: PATH}`` or ``{command: COMMAND}``."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and all(
            name in ("env", "file", "command") and isinstance(value[name], str) for name in value
        )
    )
