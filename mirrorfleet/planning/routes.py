"""How a gateway reaches each model, and by which names it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mirrorfleet.config import (
    PROVIDERS,
    Fleet,
    Model,
    OllamaModel,
    OllamaServer,
    ProviderModel,
    Secret,
    VllmModel,
)
from mirrorfleet.data import table
from mirrorfleet.engines import ollama
from mirrorfleet.engines.abilities import thinks
from mirrorfleet.planning.provenance import derived_from

LISTED = "of a provider's model, if not said: what LiteLLM's price list of this release says"


@dataclass(frozen=True)
class Route:
    """One deployment behind a gateway; several routes of one model share its load.

    ``upstream`` is LiteLLM's name of it. ``settings`` and ``secrets`` are LiteLLM's parameters by
    name. ``bearer`` says that the engine wants its key as a bearer token: vLLM looks at no other.
    """

    model: str = derived_from("models.{model}")
    upstream: str = derived_from(
        "models.{model}.engine",
        "models.{model}.provider",
        "models.{model}.id",
        reason="an engine of ours speaks /v1/messages natively: passed through untranslated",
    )
    settings: Mapping[str, str] = derived_from(
        "models.{model}", reason="where the engine listens, or what the provider wants to know"
    )
    secrets: Mapping[str, Secret] = derived_from("models.{model}")
    bearer: bool = derived_from(
        "models.{model}.api_key", reason="vLLM looks for its key in no other header"
    )
    drop_params: bool = derived_from(
        "models.{model}.provider",
        reason="what the client sends and only Anthropic's own API knows is left out",
    )
    context: int = derived_from("models.{model}.context", reason=LISTED)
    output: int = derived_from("models.{model}.output", reason=LISTED)
    base_model: str | None = derived_from("models.{model}.base_model")
    adaptive_thinking: bool = derived_from(
        "models.{model}.reasoning_parser",
        "models.{model}.family",
        "models.{model}.engine",
        reason="LiteLLM drops thinking and effort on their way to an engine without this flag",
    )
    checked_weights: str | None = derived_from(
        "models.{model}.engine",
        "models.{model}.weights",
        reason="Ollama cuts what does not fit: the gateway refuses it, by counts of these weights",
    )


def routes(fleet: Fleet) -> tuple[Route, ...]:
    """Return the routes to every model, a replica on another host being a route of its own."""
    servers = {host: ollama.server(models) for host, models in ollama.served(fleet).items()}
    return tuple(
        route for model in fleet.models.values() for route in _routes(fleet, model, servers)
    )


def _routes(fleet: Fleet, model: Model, servers: Mapping[str, OllamaServer]) -> list[Route]:
    match model:
        case VllmModel():
            return _to_vllm(fleet, model)
        case OllamaModel():
            return _to_ollama(fleet, model, servers)
        case ProviderModel():
            return [_to_provider(model)]


def _to_ollama(
    fleet: Fleet, model: OllamaModel, servers: Mapping[str, OllamaServer]
) -> list[Route]:
    return [
        Route(
            model=model.name,
            # As with vLLM: it speaks /v1/messages itself. It knows no keys.
            upstream=f"anthropic/{model.name}",
            settings={"api_base": http(fleet.hosts[host].address, servers[host].port)},
            secrets={},
            bearer=False,
            drop_params=True,
            context=model.context,
            output=model.output,
            base_model=None,
            adaptive_thinking=thinks(model),
            checked_weights=_weights(model),
        )
        for host in model.hosts
    ]


def _weights(model: OllamaModel) -> str:
    """Return a name that changes with the weights, as far as the fleet file tells."""
    if model.modelfile:
        return sha256(Path(model.modelfile).read_bytes()).hexdigest()[:12]
    return f"{model.tag}@{model.digest}" if model.digest else str(model.tag)


def _to_vllm(fleet: Fleet, model: VllmModel) -> list[Route]:
    return [
        Route(
            model=model.name,
            # The engine speaks /v1/messages natively, so this route passes a request and its
            # stream through untranslated, at 1.5 times the throughput of a translated stream.
            upstream=f"anthropic/{model.name}",
            settings={"api_base": http(fleet.hosts[host].address, model.port)},
            secrets={"api_key": model.api_key} if model.api_key else {},
            bearer=model.api_key is not None,
            drop_params=True,
            context=model.context,
            output=model.output,
            base_model=None,
            adaptive_thinking=thinks(model),
            checked_weights=None,
        )
        for host in model.heads
    ]


def _to_provider(model: ProviderModel) -> Route:
    provider = PROVIDERS[model.provider]
    return Route(
        model=model.name,
        upstream=f"{provider.prefix}/{model.id}",
        settings={provider.settings[key]: value for key, value in model.settings.items()},
        secrets={provider.secrets[key]: value for key, value in model.secrets.items()},
        bearer=False,
        drop_params=model.provider != "anthropic",
        context=model.context,
        output=model.output,
        base_model=model.base_model,
        adaptive_thinking=False,
        checked_weights=None,
    )


def http(address: str, port: int | str) -> str:
    """Return the URL of a server of ours; in one, an IPv6 address stands in brackets."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def aliases(fleet: Fleet) -> dict[str, str]:
    """Return every other name of a model, each straight to its model.

    A tier also answers to the ids that Claude Code asks for by itself: an unrouted one would be
    an error 400 in the middle of somebody's work.
    """
    named = {name: fleet.resolve(name).name for name in fleet.aliases}
    own = {
        identity: model.name
        for tier, identities in table("claude_code").items()
        if (model := fleet.find(tier))
        for identity in identities
        if identity not in fleet.models
    }
    return {**own, **named}


def by_name(
    fallbacks: Mapping[str, tuple[str, ...]], names: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return fallbacks under each model's own name and the other ``names`` that lead to it."""
    return {
        name: targets
        for model, targets in fallbacks.items()
        for name in (model, *(name for name, to in names.items() if to == model))
    }
