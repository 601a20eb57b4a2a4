"""Values in LiteLLM's own settings: literal secrets, and unresolved references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem, checked
from mirrorfleet.config.reader import Secret

SECRET = re.compile(r"(^|_)(?<!public_)(key|token|secret|password|credentials?)$", re.IGNORECASE)
"""Names of settings with secret values."""

HEADER = re.compile(r"^(proxy-)?authorization$|^(set-)?cookie$", re.IGNORECASE)
"""Further names of headers with secret values."""

NO_SECRET = re.compile(r"cost|cache_key$", re.IGNORECASE)
"""Names that end like those of secrets and are none: prices per token, and cache keys."""

USERINFO = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@]*:[^/@]+@", re.IGNORECASE)
"""The start of a URL with a password."""

VARIABLE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
"""A reference to an environment variable in LiteLLM's config.yaml."""


def problems(fleet: Fleet, key: Key, value: Any, in_list: bool = False) -> Iterator[Problem]:
    """Yield the problems of the value at ``key`` and of all values inside it."""
    match value:
        case Secret() if in_list:
            yield fleet.document.problem(
                key,
                "is a reference in a list, where LiteLLM does not resolve references.",
                "Use a mapping.",
            )
        case dict():
            for name, inner in value.items():
                yield from problems(fleet, (*key, name), inner)
        case list():
            for index, inner in enumerate(value):
                yield from problems(fleet, (*key, index), inner, in_list=True)
        case str() if variable := VARIABLE.search(value):
            yield from _variable(fleet, key, value, variable)
        case str() if is_secret_name(str(key[-1])) or USERINFO.match(value):
            yield fleet.document.problem(
                key,
                "is a secret, or has the name of one.",
                "Write a reference: {env: NAME}, {file: PATH} or {command: COMMAND}.",
            )


def is_secret_name(name: str) -> bool:
    """Return whether a setting or header of this name has a secret value."""
    if HEADER.search(name):
        return True
    return bool(SECRET.search(name.replace("-", "_"))) and not NO_SECRET.search(name)


def _variable(fleet: Fleet, key: Key, value: str, found: re.Match[str]) -> Iterator[Problem]:
    """Yield a problem for a reference to a variable that the gateways do not have."""
    name = found[1]
    if name in checked(fleet.gateway, "gateway").environment:
        return
    remedy = (
        f"Write {{env: {name}}}."
        if value == found[0]
        else f"Add gateway.environment.{name}: {{env: {name}}}."
    )
    yield fleet.document.problem(
        key, f"refers to the variable {name}, which the gateways do not have.", remedy
    )
