"""Deployments of models at providers: their credentials, weights, and parameters of LiteLLM."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import literals
from mirrorfleet.checks.known_names import derived_here, known_names, unknown_name
from mirrorfleet.config import PROVIDERS, Deployment, Fleet, ProviderModel
from mirrorfleet.config.addresses import before_v1
from mirrorfleet.config.problems import Problem
from mirrorfleet.data import table

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
        if isinstance(model, ProviderModel):
            yield from _weights(fleet, model)
            for deployment in model.deployments:
                yield from _address(fleet, deployment)
                yield from _credentials(fleet, deployment)
                yield from _prefix(fleet, deployment)
                yield from _parameters(fleet, deployment)


def _weights(fleet: Fleet, model: ProviderModel) -> Iterator[Problem]:
    strategy = fleet.gateway.routing.strategy if fleet.gateway else "simple-shuffle"
    for deployment in model.deployments:
        key = (*deployment.key, "weight")
        if deployment.weight is not None and len(model.deployments) == 1:
            yield fleet.document.problem(
                key, f"has no effect: '{model.name}' has one deployment.", "Remove it."
            )
        elif deployment.weight is not None and strategy != "simple-shuffle":
            yield fleet.document.problem(
                key,
                f"has no effect with the strategy {strategy}.",
                "Write gateway.routing.strategy: simple-shuffle.",
                given=(("gateway", "routing", "strategy"),),
            )


def _address(fleet: Fleet, deployment: Deployment) -> Iterator[Problem]:
    url = deployment.settings.get("url", "")
    if deployment.provider == "anthropic" and (base := before_v1(url)):
        yield fleet.document.problem(
            (*deployment.key, "url"),
            f"is '{url}', but LiteLLM appends /v1/messages itself.",
            f"Write {base}.",
        )


def _credentials(fleet: Fleet, deployment: Deployment) -> Iterator[Problem]:
    if deployment.provider != "bedrock":
        return
    given = {*deployment.settings, *deployment.secrets}
    for one, other in REQUIRES:
        if one in given and other not in given:
            yield fleet.document.problem(
                (*deployment.key, one), f"requires '{other}'.", f"Add '{other}'."
            )
    if {"api_key", "access_key_id"} <= given:
        yield fleet.document.problem(
            (*deployment.key, "api_key"),
            "cannot be combined with access_key_id.",
            "Remove one of the two.",
        )


def _prefix(fleet: Fleet, deployment: Deployment) -> Iterator[Problem]:
    """Yield problems of the prefix of another provider, by LiteLLM's name."""
    if deployment.provider != "litellm":
        return
    key = (*deployment.key, "prefix")
    own = {provider.prefix: name for name, provider in PROVIDERS.items() if provider.prefix}
    if deployment.prefix in own:
        yield fleet.document.problem(
            key,
            f"is {deployment.prefix}, which is a provider of its own in this file.",
            f"Write provider: {own[deployment.prefix]}, without 'prefix'.",
        )
        return
    extra = fleet.gateway.extra.get("litellm_settings", {}) if fleet.gateway else {}
    if not any(
        isinstance(each, dict) and each.get("provider") == deployment.prefix
        for each in extra.get("custom_provider_map") or ()
    ):
        yield from unknown_name(
            fleet, key, deployment.prefix, "providers", "provider", listed=False
        )
    if deployment.id.startswith(f"{deployment.prefix}/"):
        yield fleet.document.warning(
            (*deployment.key, "id"),
            f"begins with the prefix: LiteLLM would ask for '{deployment.prefix}/{deployment.id}'.",
            f"Write id: {deployment.id.removeprefix(f'{deployment.prefix}/')}.",
        )
    window = deployment.parameters.get("num_ctx")
    if deployment.prefix in ("ollama", "ollama_chat") and window is None:
        yield fleet.document.warning(
            deployment.key,
            "has no num_ctx: this Ollama silently cuts prompts at its own window.",
            f"Add parameters: {{num_ctx: {deployment.context}}}, or write engine: ollama with the "
            "url, and the gateways reject prompts that do not fit.",
        )


def _parameters(fleet: Fleet, deployment: Deployment) -> Iterator[Problem]:
    key = (*deployment.key, "parameters")
    derived = {**table("litellm_derived")["models"], **derived_here(deployment)}
    known = known_names(fleet, "models")
    for name in deployment.parameters:
        if name in derived:
            yield fleet.document.problem((*key, name), "cannot be set here.", derived[name])
        else:
            yield from unknown_name(fleet, (*key, name), name, "models", "setting")
    others = {
        name: value
        for name, value in deployment.parameters.items()
        if name not in derived and (known is None or name in known)
    }
    if fleet.gateway:
        yield from literals.problems(fleet, key, others)
