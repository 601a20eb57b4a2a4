"""Settings of LiteLLM by its own names: what it does not know, what is ours, and open secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from fleet.check.releases import locked
from fleet.data import table
from fleet.problems import Key, Problem, did_you_mean
from fleet.section import Secret
from fleet.spec import Fleet, Gateway
from fleet.spec.litellm import Values

SECRET = re.compile(r"(^|_)(?<!public_)(key|token|secret|password|credentials?)$", re.IGNORECASE)
"""Names whose values are secrets."""

USERINFO = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@]*:[^/@]+@", re.IGNORECASE)
"""The beginning of a URL that holds a password."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    if gateway := fleet.gateway:
        yield from _callbacks(fleet, gateway)
        yield from _guardrails(fleet, gateway)
        yield from _environment(fleet, gateway)
        yield from _extra(fleet, gateway)


def _callbacks(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    for at, name in enumerate(gateway.callbacks):
        key: Key = ("gateway", "callbacks", at)
        if name == "prometheus":
            yield fleet.document.problem(key, "has a key of its own.", "Write gateway.metrics.")
        else:
            yield from _known(fleet, key, name, "callbacks", "callback")


def _guardrails(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    for guardrail in gateway.guardrails:
        key: Key = ("gateway", "guardrails", guardrail.name)
        yield from _known(
            fleet, (*key, "guardrail"), guardrail.guardrail, "guardrails", "guardrail"
        )
        for mode in guardrail.mode:
            yield from _known(fleet, (*key, "mode"), mode, "guardrail_modes", "mode")
        inner = (*key, "parameters")
        for name in guardrail.parameters:
            yield from _known(fleet, (*inner, name), name, "guardrail_parameters", "parameter")
        yield from _open(fleet, inner, guardrail.parameters)


def _environment(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    ours = table("litellm_ours")["environment"]
    for name in gateway.environment:
        for beginning, remedy in ours.items():
            if name == beginning or (beginning[-1] == "_" and name.startswith(beginning)):
                yield fleet.document.problem(
                    ("gateway", "environment", name), "is ours to set.", remedy
                )
    yield from _open(fleet, ("gateway", "environment"), gateway.environment)


def _extra(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    for section, said in gateway.extra.items():
        key: Key = ("gateway", "extra", section)
        if section != "models":
            yield from _settings(fleet, key, section, said)
            yield from _endpoints(fleet, key, said)
            continue
        known = fleet.document.names("models")
        for model, parameters in said.items():
            if model not in known:
                yield fleet.document.problem(
                    (*key, model),
                    "is no model of this file.",
                    did_you_mean(model, known),
                    given=(("models",),),
                )
            yield from _settings(fleet, (*key, model), section, parameters)


def _settings(fleet: Fleet, key: Key, section: str, said: Values) -> Iterator[Problem]:
    ours = table("litellm_ours")[section]
    for name in said:
        if name in ours:
            remedy = ours[name].replace("<model>", str(key[-1]))
            yield fleet.document.problem((*key, name), "is ours to set.", remedy)
        else:
            yield from _known(fleet, (*key, name), name, section, "setting")
    yield from _open(fleet, key, said)


def _endpoints(fleet: Fleet, key: Key, said: Values) -> Iterator[Problem]:
    """Endpoints that LiteLLM would open to everybody, with the keys that stand in their headers."""
    endpoints = said.get("pass_through_endpoints")
    for at, each in enumerate(endpoints if isinstance(endpoints, list) else ()):
        if isinstance(each, dict) and each.get("auth", True) is not True:
            yield fleet.document.problem(
                (*key, "pass_through_endpoints", at, "auth"),
                f"is {json.dumps(each['auth'], default=str)}: the endpoint would need no key.",
                "Remove it.",
            )


def _known(fleet: Fleet, key: Key, name: str, names: str, kind: str) -> Iterator[Problem]:
    gateway = fleet.gateway
    assert gateway, "it is its settings that are looked at"
    if gateway.version not in locked("litellm"):
        return  # which is told of the release
    known: Iterable[str] = table(f"litellm_known/{gateway.version}")[names]
    if name not in known:
        yield fleet.document.problem(
            key,
            f"'{name}' is no {kind} that this LiteLLM knows.",
            did_you_mean(name, known),
        )


def _open(fleet: Fleet, key: Key, said: Any, listed: bool = False) -> Iterator[Problem]:
    """Secrets that stand in the file, and references where LiteLLM would not follow them."""
    match said:
        case Secret() if listed:
            yield fleet.document.problem(
                key, "is a reference in a list, where LiteLLM reads none.", "Write a mapping."
            )
        case dict():
            for name, each in said.items():
                yield from _open(fleet, (*key, name), each)
        case list():
            for at, each in enumerate(said):
                yield from _open(fleet, (*key, at), each, listed=True)
        case str() if SECRET.search(str(key[-1])) or USERINFO.match(said):
            yield fleet.document.problem(
                key,
                "holds a secret, or has the name of one.",
                "Write where it is found: {env: NAME}, {file: PATH} or {command: …}.",
            )
