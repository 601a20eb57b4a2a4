"""Incomplete credentials of providers, and assumed limits and prices of their models."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Gateway, ProviderModel
from mirrorfleet.config.addresses import before_v1
from mirrorfleet.config.problems import Problem

REQUIRES = (
    ("access_key_id", "secret_access_key"),
    ("secret_access_key", "access_key_id"),
    ("session_token", "access_key_id"),
    ("role", "role_session"),
    ("role_session", "role"),
)
"""Pairs of keys of a Bedrock model: the first requires the second."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if isinstance(model, ProviderModel) and fleet.gateway:
            yield from _assumed(fleet, fleet.gateway, model)
        if isinstance(model, ProviderModel) and model.provider == "anthropic":
            url = model.settings["url"]
            if base := before_v1(url):
                yield fleet.document.problem(
                    ("models", model.name, "url"),
                    f"is '{url}', but LiteLLM appends /v1/messages itself.",
                    f"Write {base}.",
                )
        if isinstance(model, ProviderModel) and model.provider == "bedrock":
            given = {*model.settings, *model.secrets}
            for one, other in REQUIRES:
                if one in given and other not in given:
                    yield fleet.document.problem(
                        ("models", model.name, one), f"requires '{other}'.", f"Add '{other}'."
                    )
            if {"api_key", "access_key_id"} <= given:
                yield fleet.document.problem(
                    ("models", model.name, "api_key"),
                    "cannot be combined with access_key_id.",
                    "Remove one of the two.",
                )


def _assumed(fleet: Fleet, gateway: Gateway, model: ProviderModel) -> Iterator[Problem]:
    """Yield warnings for values that neither the file nor LiteLLM's price list has."""
    key = ("models", model.name)
    given = (("gateway", "version"), ("models", model.name, "id"))
    name = model.base_model or model.id
    base = "" if model.base_model else "base_model (the model at the provider), or "
    if model.assumed:
        numbers = {
            "context": f"a context window of {model.context} tokens",
            "output": f"answers of up to {model.output} tokens",
        }
        yield fleet.document.warning(
            key,
            f"'{name}' is not in the price list of LiteLLM {gateway.version}, so Mirrorfleet "
            f"assumes {' and '.join(numbers[limit] for limit in model.assumed)}.",
            f"Add {base}{' and '.join(model.assumed)}.",
            given=given,
        )
    priced = gateway.extra.get("models", {}).get(model.name, {})
    if gateway.database and not model.has_price and "input_cost_per_token" not in priced:
        yield fleet.document.warning(
            key,
            f"'{name}' has no price in LiteLLM {gateway.version}: its usage counts as free, and no "
            "budget limits it.",
            f"Add {base}input_cost_per_token and output_cost_per_token in "
            f"gateway.extra.models.{model.name}.",
            given=given,
        )
