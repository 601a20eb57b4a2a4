"""Values of the gateway that several inputs can have: LiteLLM's settings, variables, arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.config.problems import Key
from mirrorfleet.data import table
from mirrorfleet.importing.draft import Draft, boolean, whole
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden, expanded, referred
from mirrorfleet.importing.nodes import Node

IMAGE = "ghcr.io/berriai/litellm-non_root@sha256:" + "0" * 64
"""The placeholder of an image, which no registry has."""

MASTER: Key = ("gateway", "master_key")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def once(draft: Draft, target: Key, value: Any, node: Node, reason: str = "") -> None:
    """Take a value, unless another input has set this key before."""
    before = draft.get(*target)
    if before is None:
        draft.take(node, target, value, reason)
    elif before == value:
        draft.leave(node, f"the same as {'.'.join(map(str, target))}", Fate.FOLDED)
    else:
        draft.leave(node, f"{'.'.join(map(str, target))} is set by an earlier value")


def number(draft: Draft, target: Key, node: Node, least: int, most: int = 10**9) -> None:
    """Take a whole number within the limits of the fleet file."""
    found = whole(node, least, most)
    if found is None:
        limit = f"from {least}" if most == 10**9 else f"from {least} to {most}"
        draft.leave(node, f"{'.'.join(map(str, target))} is a whole number {limit}")
    else:
        once(draft, target, found, node)


def switch(draft: Draft, target: Key, node: Node, default: bool) -> None:
    """Take true or false; the default of the fleet file is derived."""
    found = boolean(node)
    if found is None:
        draft.leave(node, "is neither true nor false")
    elif found == default:
        draft.leave(node, "the default of the fleet file", Fate.DERIVED)
    else:
        once(draft, target, found, node)


def secret(draft: Draft, target: Key, node: Node, variable: str) -> None:
    """Take a secret: a reference as it is, a literal one as the variable of this name."""
    named = referred(node.value)
    if isinstance(node.value, Hidden):
        draft.variables.setdefault(node.value.number, variable)
        if node.value.number < 0:
            draft.variables[node.value.number] = variable
    before = draft.get(*target)
    value = {"env": named or variable}
    if before is None:
        draft.put(target, value)
    if isinstance(node.value, Hidden):
        draft.secret(node, target, f"set the variable {(before or value).get('env', variable)}")
    elif before not in (None, value):
        draft.leave(node, f"{'.'.join(map(str, target))} is set by an earlier value")
    elif before is not None:
        draft.leave(node, f"the same as {'.'.join(map(str, target))}", Fate.FOLDED)
    else:
        draft.settle(node, target)


def database(draft: Draft, node: Node) -> None:
    """Take the URL of a Postgres. It needs a container with LiteLLM's database client."""
    if node.value is None or not (isinstance(node.value, Hidden) or node.text):
        draft.leave(node, "is empty")
        return
    secret(draft, ("gateway", "database", "url"), node, "DATABASE_URL")


def finish_database(draft: Draft, image: str | None) -> None:
    """Add what a database needs: a container, and the key that its content is encrypted with."""
    if draft.get("gateway", "database") is None:
        if draft.get("gateway", "salt_key") is not None:
            del draft.data["gateway"]["salt_key"]
        return
    draft.put(("gateway", "runtime"), "docker")
    if draft.get("gateway", "redis") is None and draft.get("gateway", "workers") != 1:
        draft.choose(("gateway", "workers"), 1, "with a database, more than one worker needs Redis")
    elif draft.get("gateway", "workers") is None:
        draft.choose(("gateway", "workers"), 2, "with a database, it must be a number")
    if image:
        draft.put(("gateway", "image"), image)
    else:
        question = (
            "digest of the image of LiteLLM, which has the database client (docker pull prints it)"
        )
        draft.need(("gateway", "image"), IMAGE, question)
    if draft.get("gateway", "salt_key") is None:
        reason = "encrypts the database's content; if you never had one, it was the master key"
        draft.choose(("gateway", "salt_key"), {"env": "LITELLM_SALT_KEY"}, reason)


def redis(draft: Draft, part: str, node: Node) -> None:
    """Take a part of the connection to Redis: host, port, username, password, ssl or url."""
    key: Key = ("gateway", "redis", part)
    if node.value is None:
        draft.leave(node, "is empty")
    elif part == "password":
        secret(draft, key, node, "REDIS_PASSWORD")
    elif part == "port" and referred(node.value) is None:
        number(draft, key, node, 1, 65535)
    elif part == "ssl":
        switch(draft, key, node, default=False)
    elif part == "url" or isinstance(node.value, Hidden) or referred(node.value):
        _address(draft, part, node)
    else:
        once(draft, key, str(node.value), node)


def _address(draft: Draft, part: str, node: Node) -> None:
    url = urlsplit(node.text) if node.text.startswith(("redis://", "rediss://")) else None
    if url and url.hostname:
        once(draft, ("gateway", "redis", "host"), url.hostname, node)
        return
    if draft.get("gateway", "redis", "host") is None and part in ("url", "host"):
        draft.need(("gateway", "redis", "host"), "redis.invalid", "the address of Redis")
    if isinstance(node.value, Hidden):
        secret(draft, ("gateway", "redis", "password"), node, "REDIS_PASSWORD")
    else:
        draft.leave(
            node, f"gateway.redis.{'host' if part == 'url' else part} must be written itself"
        )


def finish_redis(draft: Draft) -> None:
    """A password alone is no Redis: ask for its host."""
    if draft.get("gateway", "redis") is not None and draft.get("gateway", "redis", "host") is None:
        draft.need(("gateway", "redis", "host"), "redis.invalid", "the address of Redis")


def variable(draft: Draft, name: str, node: Node) -> None:
    """Take a variable of LiteLLM's environment."""
    if name in ("LITELLM_MASTER_KEY", "PROXY_MASTER_KEY", "MASTER_KEY") and name not in _used(
        draft
    ):
        secret(draft, MASTER, node, name)
    elif name == "DATABASE_URL":
        database(draft, node)
    elif name == "LITELLM_SALT_KEY":
        secret(draft, ("gateway", "salt_key"), node, name)
    elif name in REDIS:
        redis(draft, REDIS[name], node)
    elif name in ("PORT", "NUM_WORKERS") and node.text.isdecimal():
        key = SETTINGS[name]
        number(draft, ("gateway", key), node, 1, 65535 if key == "port" else 256)
    elif name in SETTINGS and referred(node.value):
        draft.leave(node, f"depends on a variable: write gateway.{SETTINGS[name]}", Fate.OPEN)
    elif name == "LITELLM_LOG" and node.text.upper() in LEVELS:
        level = node.text.upper()
        if level in ("ERROR", "DEBUG"):
            why = (
                "the default"
                if level == "ERROR"
                else "DEBUG logs prompts and keys: write it if you need it"
            )
            draft.leave(
                node,
                f"gateway.logging.level: {why}",
                Fate.DERIVED if level == "ERROR" else Fate.LEFT_OUT,
            )
        else:
            once(draft, ("gateway", "logging", "level"), level, node)
    elif name in _used(draft):
        _refer(draft, name, node)
    elif remedy := _derived(name):
        draft.leave(
            node,
            remedy,
            Fate.DERIVED if remedy.endswith(("derived.", "always PRODUCTION.")) else Fate.LEFT_OUT,
        )
    elif name.startswith(FOREIGN):
        draft.leave(node, "a variable of another service in the same file")
    else:
        _own(draft, name, node)


SETTINGS = {"PORT": "port", "NUM_WORKERS": "workers", "LITELLM_LOG": "logging.level"}
"""Variables with a key of their own below `gateway`."""

REDIS = {
    f"REDIS_{part.upper()}": part for part in ("host", "port", "username", "password", "ssl", "url")
}

FOREIGN = (
    "POSTGRES_",
    "PG",
    "COMPOSE_",
    "UI_",
    "PGADMIN_",
    "GRAFANA_",
    "WEBUI_",
    "MYSQL_",
    "MONGO_",
)
"""Prefixes of variables that LiteLLM does not read, or only for its admin UI, which is off."""


def _refer(draft: Draft, name: str, node: Node) -> None:
    if isinstance(node.value, Hidden):
        draft.secret(node, reason=f"set the variable {name}")
    else:
        draft.leave(node, f"the fleet file refers to the variable {name}", Fate.FOLDED)


def _own(draft: Draft, name: str, node: Node) -> None:
    key: Key = ("gateway", "environment", name)
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        draft.leave(node, "is not the name of a variable")
    elif draft.get(*key) is not None:
        draft.leave(node, f"gateway.environment.{name} is set by an earlier value")
    elif isinstance(node.value, Hidden) or referred(node.value):
        secret(draft, key, node, name)
    elif expanded(node.text) is None:
        draft.leave(node, f"depends on a variable: write {'.'.join(map(str, key))}", Fate.OPEN)
    elif node.text:
        draft.take(node, key, node.text)
    else:
        draft.leave(node, "is empty")


def _derived(name: str) -> str:
    derived: dict[str, str] = table("litellm_derived")["environment"]
    return next(
        (
            why
            for prefix, why in derived.items()
            if name == prefix or (prefix[-1] == "_" and name.startswith(prefix))
        ),
        "",
    )


def _used(draft: Draft) -> set[str]:
    """Return the variables that the fleet file refers to."""
    return {*references(draft.data), *draft.variables.values()}


def references(value: Any) -> Iterator[str]:
    """Yield the variables of the references in a part of the fleet file."""
    if isinstance(value, dict):
        if set(value) == {"env"} and isinstance(value["env"], str):
            yield value["env"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def argument(draft: Draft, option: str, node: Node | None, word: Node) -> None:
    """Take an option of the command `litellm`."""
    key = ARGUMENTS.get(option)
    if key and node is not None:
        draft.leave(word, f"gateway.{key}", Fate.DERIVED)
        number(draft, ("gateway", key), node, 1, 65535 if key == "port" else 10**6)
        return
    reason = DERIVED_ARGUMENTS.get(option, "has no place in the fleet file")
    fate = Fate.DERIVED if option in DERIVED_ARGUMENTS else Fate.LEFT_OUT
    draft.leave(word, reason, fate)
    draft.leave(node, reason, fate)


ARGUMENTS = {
    "port": "port",
    "num-workers": "workers",
    "max-requests-before-restart": "max_requests_before_restart",
    "keepalive-timeout": "keepalive_timeout",
}

DERIVED_ARGUMENTS = {
    "config": "Mirrorfleet writes the configuration",
    "host": "the gateway listens on the address of its host; write gateway.listen for another",
    "telemetry": "telemetry is always off",
    "run-gunicorn": "gateways always run uvicorn",
    "run-hypercorn": "gateways always run uvicorn",
    "drop-params": "parameters that a model does not support are always dropped",
}
