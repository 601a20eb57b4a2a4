"""The routes of a gateway to each model, and the names of each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mirrorfleet.config import PROVIDERS, EngineModel, Fleet, Model, ProviderModel, Secret
from mirrorfleet.data import table
from mirrorfleet.engines.abilities import (
    Abilities,
    abilities,
    has_web_search,
    is_claude,
    known_abilities,
)
from mirrorfleet.engines.known import ThinkingArguments
from mirrorfleet.engines.registry import ENGINES, engine_of
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.running import RunningPlan, running

LISTED = "if unset, for a provider's model, from the price list of this release of LiteLLM"


WebSearchBy = Literal["provider", "gateway"]


@dataclass(frozen=True)
class Route:
    """One deployment behind a gateway; several routes of one model share its load.

    ``upstream``: LiteLLM's name of the deployment. ``settings`` and ``secrets``: LiteLLM's
    parameters, by name. ``bearer``: the engine expects its key as a bearer token.
    ``adaptive_thinking``: LiteLLM passes thinking and effort to the engine, which it drops
    without this flag.
    """

    model: str = derived_from("models.{model}")
    engine: str | None = derived_from(
        "models.{model}.engine", reason="unset for a provider's model"
    )
    upstream: str = derived_from(
        "models.{model}.engine",
        "models.{model}.provider",
        "models.{model}.id",
        reason="engines support /v1/messages, so requests pass through untranslated",
    )
    settings: Mapping[str, str] = derived_from(
        "models.{model}", reason="the engine's address, or the provider's settings"
    )
    secrets: Mapping[str, Secret] = derived_from("models.{model}")
    bearer: bool = derived_from(
        "models.{model}.api_key", reason="engines read their key only from this header"
    )
    drop_params: bool = derived_from(
        "models.{model}.provider",
        reason="parameters that only Anthropic's own API supports are dropped",
    )
    context: int = derived_from("models.{model}.context", reason=LISTED)
    output: int = derived_from("models.{model}.output", reason=LISTED)
    base_model: str | None = derived_from("models.{model}.base_model")
    abilities: Abilities = derived_from("models.{model}")
    is_claude: bool = derived_from(
        "models.{model}.provider", "models.{model}.id", reason="Claude supports all of its API"
    )
    thinking_arguments: ThinkingArguments | None = derived_from(
        "models.{model}.thinking",
        "models.{model}.family",
        "models.{model}.reasoning_parser",
        reason="what enables and disables thinking in the chat template of the model",
    )
    checked_weights: str | None = derived_from(
        "models.{model}.engine",
        "models.{model}.weights",
        reason="if the engine cuts long prompts: the gateway counts tokens and rejects them first",
    )
    running: RunningPlan | None = derived_from("models.{model}.url")
    web_search: WebSearchBy | None = derived_from(
        "gateway.web_search",
        "models.{model}",
        reason="who runs WebSearch: the provider, or the gateway for models that cannot search",
    )

    @property
    def adaptive_thinking(self) -> bool:
        return self.engine is not None and self.abilities.thinking.mode != "none"

    @property
    def mends(self) -> tuple[str, ...]:
        """What the gateway changes in requests for the engine."""
        return ENGINES[self.engine].gateway_mends if self.engine else ()


def routes(fleet: Fleet) -> tuple[Route, ...]:
    """Return the routes to every model, one for each replica."""
    ports = {name: engine.ports(fleet) for name, engine in ENGINES.items()}
    return tuple(
        route
        for model in fleet.models.values()
        for route in (
            [_to_provider(fleet, model)]
            if isinstance(model, ProviderModel)
            else _to_engine(fleet, model, ports[model.engine])
        )
    )


def _to_engine(
    fleet: Fleet, model: EngineModel, ports: Mapping[tuple[str, str], int]
) -> Iterator[Route]:
    engine = engine_of(model)
    heads = [(fleet.hosts[host].address, ports[model.name, host]) for host in model.heads]
    for url in [model.url] if model.url else [http(*head) for head in heads]:
        yield Route(
            model=model.name,
            engine=engine.name,
            upstream=f"{engine.litellm_provider}/{model.name_at_engine}",
            settings={"api_base": url + engine.api_path},
            secrets={"api_key": model.api_key} if model.api_key else {},
            bearer=model.api_key is not None,
            drop_params=True,
            context=model.context,
            output=model.output,
            base_model=None,
            abilities=abilities(model),
            is_claude=False,
            thinking_arguments=engine.thinking_arguments(
                model, known_abilities(model).thinking.value
            ),
            checked_weights=engine.cut_weights(model),
            running=running(model),
            web_search=web_search_by(fleet, model),
        )


def _to_provider(fleet: Fleet, model: ProviderModel) -> Route:
    provider = PROVIDERS[model.provider]
    return Route(
        model=model.name,
        engine=None,
        upstream=f"{provider.prefix}/{model.id}",
        settings={provider.settings[key]: value for key, value in model.settings.items()},
        secrets={provider.secrets[key]: value for key, value in model.secrets.items()},
        bearer=False,
        drop_params=model.provider != "anthropic",
        context=model.context,
        output=model.output,
        base_model=model.base_model,
        abilities=abilities(model),
        is_claude=is_claude(model),
        thinking_arguments=None,
        checked_weights=None,
        running=None,
        web_search=web_search_by(fleet, model),
    )


def web_search_by(fleet: Fleet, model: Model) -> WebSearchBy | None:
    """Return who runs WebSearch for a model: its provider, the gateway, or None."""
    if has_web_search(model):
        return "provider"
    return "gateway" if fleet.gateway and fleet.gateway.web_search else None


def http(address: str, port: int | str) -> str:
    """Return the HTTP URL of an address and a port, with an IPv6 address in brackets."""
    return f"{origin(address)}:{port}"


def origin(address: str) -> str:
    """Return the HTTP URL of an address without a port."""
    return f"http://[{address}]" if ":" in address else f"http://{address}"


def aliases(fleet: Fleet) -> dict[str, str]:
    """Return the further names of models, each with the name of its model.

    The model of a tier also gets the ids that Claude Code requests by itself: without a route,
    such a request would fail with 400 during a session.
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
    """Return fallbacks under each model's own name and its further ``names``."""
    return {
        name: targets
        for model, targets in fallbacks.items()
        for name in (model, *(name for name, to in names.items() if to == model))
    }
