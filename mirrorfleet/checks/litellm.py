"""LiteLLM's own settings in the fleet file: unknown or derived ones, and literal secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from mirrorfleet.checks import literals
from mirrorfleet.checks.known_names import derived_here, known_names, unknown_name
from mirrorfleet.config import Fleet, Gateway, Model, ProviderModel
from mirrorfleet.config.litellm import Values
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.data import table
from mirrorfleet.engines.registry import engine_of

DERIVED = "cannot be set here."
"""The mistake of a setting that the fleet file has a key for, or that Mirrorfleet derives."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    if gateway := fleet.gateway:
        yield from _callbacks(fleet, gateway)
        yield from _guardrails(fleet, gateway)
        yield from _environment(fleet, gateway)
        yield from _extra(fleet, gateway)


def _callbacks(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    for index, name in enumerate(gateway.callbacks):
        key: Key = ("gateway", "callbacks", index)
        if name == "prometheus":
            yield fleet.document.problem(
                key,
                "'prometheus' is set by gateway.metrics.",
                "Remove it, and add gateway.metrics.",
            )
        elif "." not in name:  # the check of modules is for the others
            yield from unknown_name(fleet, key, name, "callbacks", "callback")


def _guardrails(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    for guardrail in gateway.guardrails:
        key: Key = ("gateway", "guardrails", guardrail.name)
        if "." not in guardrail.guardrail:  # the check of modules is for the others
            yield from unknown_name(
                fleet, (*key, "guardrail"), guardrail.guardrail, "guardrails", "guardrail"
            )
        for mode in guardrail.mode:
            yield from unknown_name(fleet, (*key, "mode"), mode, "guardrail_modes", "mode")
        inner = (*key, "parameters")
        derived = table("litellm_derived")["guardrail_parameters"]
        for name in guardrail.parameters:
            if name in derived:
                yield fleet.document.problem((*inner, name), DERIVED, derived[name])
            else:
                yield from unknown_name(
                    fleet, (*inner, name), name, "guardrail_parameters", "parameter"
                )
        yield from literals.problems(fleet, inner, guardrail.parameters)


def _environment(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    derived = table("litellm_derived")["environment"]
    for name in gateway.environment:
        for prefix, remedy in derived.items():
            if name == prefix or (prefix[-1] == "_" and name.startswith(prefix)):
                yield fleet.document.problem(("gateway", "environment", name), DERIVED, remedy)
    yield from literals.problems(fleet, ("gateway", "environment"), gateway.environment)


def _extra(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    for section, config in gateway.extra.items():
        key: Key = ("gateway", "extra", section)
        if section != "models":
            yield from _settings(fleet, key, section, config, table("litellm_derived")[section])
            yield from _endpoints(fleet, key, config)
            continue
        known = fleet.document.names("models")
        for name, parameters in config.items():
            if name not in known:
                yield fleet.document.problem(
                    (*key, name),
                    "is not a model of this file.",
                    did_you_mean(name, known),
                    given=(("models",),),
                )
            derived = _derived(fleet.models.get(name))
            yield from _settings(fleet, (*key, name), section, parameters, derived)
            yield from _lists(fleet, gateway, (*key, name), parameters)


def _lists(fleet: Fleet, gateway: Gateway, key: Key, parameters: Values) -> Iterator[Problem]:
    """Yield problems of a model's lists. LiteLLM ignores unknown guardrails without a message."""
    for setting in ("additional_drop_params", "guardrails"):
        names = parameters.get(setting, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            yield fleet.document.problem((*key, setting), "must be a list of names.")
            return
    known = {guardrail.name for guardrail in gateway.guardrails}
    for index, name in enumerate(parameters.get("guardrails", [])):
        if name not in known:
            yield fleet.document.problem(
                (*key, "guardrails", index),
                f"'{name}' is not defined under gateway.guardrails.",
                did_you_mean(name, known) or "Add it there.",
                given=(("gateway", "guardrails"),),
            )


def _settings(
    fleet: Fleet, key: Key, section: str, config: Values, derived: Mapping[str, str]
) -> Iterator[Problem]:
    for name in config:
        if name in derived:
            yield fleet.document.problem((*key, name), DERIVED, derived[name])
        else:
            yield from unknown_name(fleet, (*key, name), name, section, "setting")
    known = known_names(fleet, section)
    others = {
        name: value
        for name, value in config.items()
        if name not in derived and (known is None or name in known)
    }
    yield from literals.problems(fleet, key, others)


def _derived(model: Model | None) -> dict[str, str]:
    """Return the parameters of a model that ``extra`` cannot set, with what to write instead."""
    common: dict[str, str] = table("litellm_derived")["models"]
    if model is None:
        return common
    if isinstance(model, ProviderModel):
        own = {
            name: remedy
            for deployment in model.deployments
            for name, remedy in derived_here(deployment).items()
        }
        return {**common, **own}
    names = ("api_base", "custom_llm_provider", "model")
    derived = dict.fromkeys(names, "It is derived from the engine.")
    return {**common, **derived, **engine_of(model).derived_parameters(model)}


def _endpoints(fleet: Fleet, key: Key, config: Values) -> Iterator[Problem]:
    """Yield a problem for each pass-through endpoint without authentication."""
    endpoints = config.get("pass_through_endpoints")
    for index, endpoint in enumerate(endpoints if isinstance(endpoints, list) else ()):
        if isinstance(endpoint, dict) and endpoint.get("auth", True) is not True:
            yield fleet.document.problem(
                (*key, "pass_through_endpoints", index, "auth"),
                f"is {json.dumps(endpoint['auth'], default=str)}: the endpoint would accept "
                "requests without a key.",
                "Remove it.",
            )
