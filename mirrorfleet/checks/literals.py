"""Values in LiteLLM's own settings: open secrets, and references that LiteLLM would not follow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem, checked
from mirrorfleet.config.reader import Secret

SECRET = re.compile(r"(^|_)(?<!public_)(key|token|secret|password|credentials?)$", re.IGNORECASE)
"""Names whose values are secrets."""

HEADER = re.compile(r"^(proxy-)?authorization$|^(set-)?cookie$", re.IGNORECASE)
"""Headers whose values are secrets, beside those that are named as settings are."""

NO_SECRET = re.compile(r"cost|cache_key$", re.IGNORECASE)
"""Names that end like those of secrets: prices per token, and keys of a cache."""

USERINFO = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@]*:[^/@]+@", re.IGNORECASE)
"""The beginning of a URL that holds a password."""

VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
"""How a config.yaml of LiteLLM names a variable."""


def problems(fleet: Fleet, key: Key, said: Any, listed: bool = False) -> Iterator[Problem]:
    """Yield what is wrong with a value at ``key``, and with all that is in it."""
    match said:
        case Secret() if listed:
            yield fleet.document.problem(
                key, "is a reference in a list, where LiteLLM reads none.", "Write a mapping."
            )
        case dict():
            for name, each in said.items():
                yield from problems(fleet, (*key, name), each)
        case list():
            for at, each in enumerate(said):
                yield from problems(fleet, (*key, at), each, listed=True)
        case str() if variable := VARIABLE.search(said):
            yield from _variable(fleet, key, said, variable)
        case str() if holds_a_secret(str(key[-1])) or USERINFO.match(said):
            yield fleet.document.problem(
                key,
                "holds a secret, or has the name of one.",
                "Write where it is found: {env: NAME}, {file: PATH} or {command: …}.",
            )


def holds_a_secret(name: str) -> bool:
    """Is this the name of a setting or a header whose value is a secret?"""
    if HEADER.search(name):
        return True
    return bool(SECRET.search(name.replace("-", "_"))) and not NO_SECRET.search(name)


def _variable(fleet: Fleet, key: Key, said: str, found: re.Match[str]) -> Iterator[Problem]:
    """A variable by LiteLLM's own word for one: the gateways' environment must have it."""
    name = found[1]
    if name in checked(fleet.gateway, "gateway").environment:
        return
    remedy = (
        f"Write {{env: {name}}}."
        if said == found[0]
        else f"Add gateway.environment.{name}: {{env: {name}}}."
    )
    yield fleet.document.problem(
        key, f"names the variable {name}, which the gateways do not have.", remedy
    )
