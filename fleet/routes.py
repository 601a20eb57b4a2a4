"""How a gateway reaches each model, and by which names it answers."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.data import table
from fleet.spec import Fleet, ProviderModel, Secret, VllmModel


@dataclass(frozen=True)
class Route:
    """One deployment behind a gateway; several routes of one model share its load.

    ``upstream`` is LiteLLM's name of it. ``environment`` is the variable that holds its key, which
    travels as a bearer token where ``bearer`` says so: vLLM looks at no other header.
    """

    model: str
    upstream: str
    api_base: str | None
    api_key: Secret | None
    environment: str
    bearer: bool
    context: int
    output: int


def routes(fleet: Fleet) -> tuple[Route, ...]:
    """Return the routes to every model, a replica on another host being a route of its own."""
    return tuple(route for model in fleet.models.values() for route in _routes(fleet, model))


def _routes(fleet: Fleet, model: VllmModel | ProviderModel) -> list[Route]:
    # Both speak /v1/messages natively, so LiteLLM's anthropic/ route passes a request and its
    # stream through untranslated, at 1.5 times the throughput of a translated stream.
    bases: list[str | None] = [None]
    upstream = f"anthropic/{model.name}"
    if isinstance(model, ProviderModel):
        upstream = f"{model.provider}/{model.id}"
    else:
        bases = [f"http://{fleet.hosts[name].address}:{model.port}" for name in model.hosts]
    return [
        Route(
            model=model.name,
            upstream=upstream,
            api_base=base,
            api_key=model.api_key,
            environment=f"MODEL_KEY_{model.name.upper().replace('-', '_').replace('.', '_')}",
            bearer=isinstance(model, VllmModel),
            context=model.context,
            output=model.output,
        )
        for base in bases
    ]


def resolve(fleet: Fleet, name: str) -> VllmModel | ProviderModel:
    """Follow aliases from ``name`` to the model that answers to it."""
    while name not in fleet.models:
        name = fleet.aliases[name]
    return fleet.models[name]


def aliases(fleet: Fleet) -> dict[str, str]:
    """Return every other name of a model, each straight to its model.

    A tier also answers to the ids that Claude Code asks for by itself: an unrouted one would be
    an error 400 in the middle of somebody's work.
    """
    named = {name: resolve(fleet, name).name for name in fleet.aliases}
    own = {
        identity: named[tier]
        for tier, identities in table("claude_code").items()
        if tier in named
        for identity in identities
        if identity not in fleet.models
    }
    return {**own, **named}
