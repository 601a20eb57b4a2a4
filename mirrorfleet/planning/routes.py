"""The routes of a gateway to each model, and the names of each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from mirrorfleet.config import (
    PROVIDERS,
    EngineModel,
    Fleet,
    Model,
    Price,
    ProviderModel,
    Secret,
)
from mirrorfleet.config.litellm import Values
from mirrorfleet.config.wildcards import matching
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

MODES = {"embed": "embedding", "rerank": "rerank"}
"""LiteLLM's word for each task of a pooling model."""

LISTED = "if unset, for a provider's model, from the price list of this release of LiteLLM"


WebSearchBy = Literal["provider", "gateway"]


@dataclass(frozen=True)
class Route:
    """One deployment behind a gateway; several routes of one model share its load.

    ``upstream``: LiteLLM's name of the deployment. ``settings`` and ``secrets``: LiteLLM's
    parameters, by name. ``number``: of several deployments at providers, from 1. ``bearer``: the
    engine expects its key as a bearer token. ``context`` and ``output``: 0 for a model without a
    window, such as one for embeddings. ``adaptive_thinking``: LiteLLM passes thinking and effort to
    the engine, which it drops without this flag. Times are in seconds.
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
    number: int | None = derived_from("models.{model}.deployments")
    parameters: Values = derived_from("models.{model}.parameters", "models.{model}.deployments")
    weight: float | None = derived_from("models.{model}.deployments")
    timeout: int | None = derived_from("models.{model}.timeout", "gateway.timeout")
    stream_timeout: int | None = derived_from(
        "models.{model}.stream_timeout", "gateway.stream_timeout"
    )
    retries: int | None = derived_from("models.{model}.retries")
    information: Values = derived_from("models.{model}.model_info")
    price: Price | None = derived_from(
        "models.{model}.price", reason="dollars per million tokens; if unset, as LiteLLM knows it"
    )
    deployment: str = derived_from(
        "models.{model}",
        reason="names the deployment in `mirrorfleet usage`: its host, or the provider",
    )
    bearer: bool = derived_from(
        "models.{model}.api_key", reason="engines read their key only from this header"
    )
    drop_params: bool = derived_from(
        "models.{model}.provider",
        reason="parameters that only Anthropic's own API supports are dropped",
    )
    context: int = derived_from("models.{model}.context", reason=LISTED)
    output: int = derived_from("models.{model}.output", reason=LISTED)
    mode: str | None = derived_from(
        "models.{model}.task", reason="LiteLLM's word for what the model does, if not answers"
    )
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
            _to_provider(fleet, model)
            if isinstance(model, ProviderModel)
            else _to_engine(fleet, model, ports[model.engine])
        )
    )


def _to_engine(
    fleet: Fleet, model: EngineModel, ports: Mapping[tuple[str, str], int]
) -> Iterator[Route]:
    engine, calls = engine_of(model), fleet.calls[model.name]
    heads = [
        (host, http(fleet.hosts[host].address, ports[model.name, host])) for host in model.heads
    ]
    provider, path = engine.litellm_provider, engine.api_path
    if model.task:
        provider, path = engine.pooling_provider, engine.pooling_path
    for name, url in [(urlsplit(model.url).netloc, model.url)] if model.url else heads:
        yield Route(
            model=model.name,
            engine=engine.name,
            upstream=f"{provider}/{model.name_at_engine}",
            settings={"api_base": url + path},
            secrets={"api_key": model.api_key} if model.api_key else {},
            number=None,
            parameters={},
            weight=None,
            timeout=calls.timeout,
            stream_timeout=calls.stream_timeout,
            retries=calls.retries,
            information=fleet.information[model.name],
            price=fleet.prices.get(model.name),
            deployment=name.rpartition("@")[2],
            # Requests for embeddings and scores send the key as a bearer token by themselves.
            bearer=model.api_key is not None and model.task is None,
            drop_params=True,
            context=model.context,
            output=model.output,
            mode=MODES.get(model.task or ""),
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


def _to_provider(fleet: Fleet, model: ProviderModel) -> Iterator[Route]:
    several = len(model.deployments) > 1
    has_weights = any(deployment.weight for deployment in model.deployments)
    for number, deployment in enumerate(model.deployments, start=1):
        parameters = PROVIDERS[deployment.provider].parameters
        calls = deployment.calls.over(fleet.calls[model.name])
        yield Route(
            model=model.name,
            engine=None,
            upstream=f"{deployment.prefix}/{deployment.id}",
            settings={parameters[key]: value for key, value in deployment.settings.items()},
            secrets={parameters[key]: value for key, value in deployment.secrets.items()},
            number=number if several else None,
            parameters=deployment.parameters,
            # LiteLLM sends nothing to a deployment without a weight if another one has a weight.
            weight=(deployment.weight or 1) if has_weights else None,
            timeout=calls.timeout,
            stream_timeout=calls.stream_timeout,
            retries=calls.retries,
            information=fleet.information[model.name],
            price=fleet.prices.get(model.name),
            deployment=deployment.prefix + (f"-{number}" if several else ""),
            bearer=False,
            drop_params=deployment.provider != "anthropic",
            # Any of the deployments can get a prompt: the client knows one window for all.
            context=model.context if model.has_window else 0,
            output=model.output if model.has_window else 0,
            mode=None if model.has_window else model.mode,
            base_model=deployment.base_model,
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
        for tier, identities in fleet.client_ids.items()
        if (model := fleet.find(tier))
        for identity in identities
        if identity not in fleet.models
        # `claude-*` in the file is for these ids; `*` is for whatever has no other route.
        and matching(fleet.models, identity) in (None, "*")
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
