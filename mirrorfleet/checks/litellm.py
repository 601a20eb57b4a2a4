"""Settings of LiteLLM by its own names: what it does not know, what is ours, and open secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from mirrorfleet.checks import literals
from mirrorfleet.config import PROVIDERS, Fleet, Gateway, Model, ProviderModel
from mirrorfleet.config.litellm import Values
from mirrorfleet.config.problems import Key, Problem, checked, did_you_mean
from mirrorfleet.data import has_table, table
from mirrorfleet.engines.registry import engine_of


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
        elif "." in name:
            yield fleet.document.problem(
                key,
                f"'{name}' names a Python module, and gateways have none but Mirrorfleet's.",
                "Remove it.",
            )
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
        ours = table("litellm_ours")["guardrail_parameters"]
        for name in guardrail.parameters:
            if name in ours:
                yield fleet.document.problem((*inner, name), "is ours to set.", ours[name])
            else:
                yield from _known(fleet, (*inner, name), name, "guardrail_parameters", "parameter")
        yield from literals.problems(fleet, inner, guardrail.parameters)


def _environment(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    ours = table("litellm_ours")["environment"]
    for name in gateway.environment:
        for beginning, remedy in ours.items():
            if name == beginning or (beginning[-1] == "_" and name.startswith(beginning)):
                yield fleet.document.problem(
                    ("gateway", "environment", name), "is ours to set.", remedy
                )
    yield from literals.problems(fleet, ("gateway", "environment"), gateway.environment)


def _extra(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    for section, said in gateway.extra.items():
        key: Key = ("gateway", "extra", section)
        if section != "models":
            yield from _settings(fleet, key, section, said, table("litellm_ours")[section])
            yield from _endpoints(fleet, key, said)
            continue
        known = fleet.document.names("models")
        for name, parameters in said.items():
            if name not in known:
                yield fleet.document.problem(
                    (*key, name),
                    "is no model of this file.",
                    did_you_mean(name, known),
                    given=(("models",),),
                )
            ours = _ours(fleet.models.get(name))
            yield from _settings(fleet, (*key, name), section, parameters, ours)
            yield from _lists(fleet, gateway, (*key, name), parameters)


def _lists(fleet: Fleet, gateway: Gateway, key: Key, parameters: Values) -> Iterator[Problem]:
    """Lists of a model: what is dropped, and guardrails, which LiteLLM passes over if unknown."""
    for setting in ("additional_drop_params", "guardrails"):
        said = parameters.get(setting, [])
        if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
            yield fleet.document.problem((*key, setting), "must be a list of names.")
            return
    known = {each.name for each in gateway.guardrails}
    for at, name in enumerate(parameters.get("guardrails", [])):
        if name not in known:
            yield fleet.document.problem(
                (*key, "guardrails", at),
                f"names '{name}', which is not under gateway.guardrails.",
                did_you_mean(name, known) or "Add it there.",
                given=(("gateway", "guardrails"),),
            )


def _settings(
    fleet: Fleet, key: Key, section: str, said: Values, ours: Mapping[str, str]
) -> Iterator[Problem]:
    for name in said:
        if name in ours:
            yield fleet.document.problem((*key, name), "is ours to set.", ours[name])
        else:
            yield from _known(fleet, (*key, name), name, section, "setting")
    known = known_names(fleet, section)
    others = {
        name: each
        for name, each in said.items()
        if name not in ours and (known is None or name in known)
    }
    yield from literals.problems(fleet, key, others)


def _ours(model: Model | None) -> dict[str, str]:
    """Return which parameters of a model are not for ``extra``, with what to write instead."""
    common: dict[str, str] = table("litellm_ours")["models"]
    if model is None:
        return common
    if isinstance(model, ProviderModel):
        provider = PROVIDERS[model.provider]
        keys = {
            **{parameter: key for key, parameter in provider.settings.items()},
            **{parameter: key for key, parameter in provider.secrets.items()},
            "model": "id",
            "custom_llm_provider": "provider",
        }
        own = {name: f"Write models.{model.name}.{key}." for name, key in keys.items()}
        return {**common, **own}
    names = ("api_base", "custom_llm_provider", "model")
    derived = dict.fromkeys(names, "It is derived from the engine.")
    return {**common, **derived, **engine_of(model).derived_parameters(model)}


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
    known = known_names(fleet, names)
    if known is not None and name not in known:
        elsewhere = (
            [section for section in SECTIONS if name in (known_names(fleet, section) or ())]
            if names in SECTIONS
            else []
        )
        yield fleet.document.problem(
            key,
            f"'{name}' is no {kind} that this LiteLLM knows here."
            if elsewhere
            else f"'{name}' is no {kind} that this LiteLLM knows.",
            f"Write it under gateway.extra.{elsewhere[0]}."
            if elsewhere
            else did_you_mean(name, known),
        )


SECTIONS = ("litellm_settings", "router_settings", "general_settings")
"""Sections of LiteLLM's own settings, in which a name may stand that is meant for another one."""


def known_names(fleet: Fleet, section: str) -> frozenset[str] | None:
    """Return the names that the gateway's release knows; ``None`` where they are not known here,
    which is told of the release."""
    name = f"litellm_known/{checked(fleet.gateway, 'gateway').version}"
    return frozenset(table(name)[section]) if has_table(name) else None
