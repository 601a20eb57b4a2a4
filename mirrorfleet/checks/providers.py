"""What a provider must be told, and what is assumed of its models because nobody says it."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Gateway, ProviderModel
from mirrorfleet.config.addresses import before_v1
from mirrorfleet.config.problems import Problem

TOGETHER = (
    ("access_key_id", "secret_access_key"),
    ("secret_access_key", "access_key_id"),
    ("session_token", "access_key_id"),
    ("role", "role_session"),
    ("role_session", "role"),
)
"""Keys of a Bedrock model of which the first says nothing without the second."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if isinstance(model, ProviderModel) and fleet.gateway:
            yield from _assumed(fleet, fleet.gateway, model)
        if isinstance(model, ProviderModel) and model.provider == "anthropic":
            url = model.settings["url"]
            if wanted := before_v1(url):
                yield fleet.document.problem(
                    ("models", model.name, "url"),
                    f"is '{url}', and LiteLLM adds /v1/messages by itself.",
                    f"Write {wanted}.",
                )
        if isinstance(model, ProviderModel) and model.provider == "bedrock":
            said = {*model.settings, *model.secrets}
            for one, other in TOGETHER:
                if one in said and other not in said:
                    yield fleet.document.problem(
                        ("models", model.name, one), f"needs '{other}' beside it.", "Add it."
                    )
            if {"api_key", "access_key_id"} <= said:
                yield fleet.document.problem(
                    ("models", model.name, "api_key"),
                    "stands beside an access key: only one of the two can log in.",
                    "Remove one.",
                )


def _assumed(fleet: Fleet, gateway: Gateway, model: ProviderModel) -> Iterator[Problem]:
    """What neither the file nor LiteLLM's price list says of a model."""
    key = ("models", model.name)
    given = (("gateway", "version"), ("models", model.name, "id"))
    name = model.base_model or model.id
    another = "" if model.base_model else "base_model, the model whose limits it has, or "
    if model.assumed:
        numbers = {
            "context": f"a window of {model.context} tokens",
            "output": f"answers of up to {model.output} tokens",
        }
        yield fleet.document.warning(
            key,
            f"'{name}' is not in the price list of LiteLLM {gateway.version}, so Mirrorfleet "
            f"assumes {' and '.join(numbers[each] for each in model.assumed)}.",
            f"Write {another}{' and '.join(model.assumed)}.",
            given=given,
        )
    priced = gateway.extra.get("models", {}).get(model.name, {})
    if gateway.database and not model.has_price and "input_cost_per_token" not in priced:
        yield fleet.document.warning(
            key,
            f"'{name}' has no price in LiteLLM {gateway.version}: its use counts as free, and no "
            "budget ends it.",
            f"Write {another}input_cost_per_token and output_cost_per_token in "
            f"gateway.extra.models.{model.name}.",
            given=given,
        )
