"""Assumed limits and prices of providers' models."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Deployment, Fleet, Gateway, ProviderModel
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if isinstance(model, ProviderModel) and fleet.gateway:
            for deployment in model.deployments:
                yield from _assumed(fleet, fleet.gateway, model, deployment)


def _assumed(
    fleet: Fleet, gateway: Gateway, model: ProviderModel, deployment: Deployment
) -> Iterator[Problem]:
    """Yield warnings for values that neither the file nor LiteLLM's price list has."""
    given = (("gateway", "version"), (*deployment.key, "id"))
    name = deployment.base_model or deployment.id
    base = "" if deployment.base_model else "base_model (the model at the provider), or "
    if deployment.assumed and model.has_window:
        numbers = {
            "context": f"a context window of {deployment.context} tokens",
            "output": f"answers of up to {deployment.output} tokens",
        }
        yield fleet.document.warning(
            deployment.key,
            f"'{name}' is not in the price list of LiteLLM {gateway.version}, so Mirrorfleet "
            f"assumes {' and '.join(numbers[limit] for limit in deployment.assumed)}.",
            f"Add {base}{' and '.join(deployment.assumed)}.",
            given=given,
        )
    priced = {**gateway.extra.get("models", {}).get(model.name, {}), **deployment.parameters}
    has_price = (
        deployment.has_price or model.name in fleet.prices or "input_cost_per_token" in priced
    )
    if gateway.database and not has_price:
        yield fleet.document.warning(
            deployment.key,
            f"'{name}' has no price in LiteLLM {gateway.version}: its usage counts as free, and no "
            "budget limits it.",
            f"Add {base}models.{model.name}.price.",
            given=given,
        )
