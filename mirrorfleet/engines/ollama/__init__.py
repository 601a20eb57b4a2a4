"""Ollama: one server per host, for all its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from mirrorfleet.config import Fleet, Host, ollama_store
from mirrorfleet.config.abilities import ThinkingKeys
from mirrorfleet.config.advisories import Package
from mirrorfleet.config.ollama import (
    PACKAGE,
    OllamaModel,
    RunningOllamaModel,
    ollama,
    running_ollama,
)
from mirrorfleet.config.reader import Section
from mirrorfleet.engines.known import KnownAbilities, assumed
from mirrorfleet.engines.ollama.servers import server, version
from mirrorfleet.engines.placement import by_host
from mirrorfleet.engines.protocol import Engine, Installed, Listener

AnyOllamaModel = OllamaModel | RunningOllamaModel


class Ollama(Engine[AnyOllamaModel]):
    """The engine ``ollama``."""

    name: ClassVar[str] = OllamaModel.engine
    title: ClassVar[str] = "Ollama"
    alive_path: ClassVar[str] = "/api/version"
    models_path: ClassVar[str] = "/api/tags"
    gateway_mends: ClassVar[tuple[str, ...]] = ("tool_schemas", "tool_calls", "image_urls")
    tools_fix: ClassVar[str] = "Choose a tag whose model has tools: `ollama show` lists them"
    package: ClassVar[Package | None] = PACKAGE
    window_fix: ClassVar[str] = "Set OLLAMA_CONTEXT_LENGTH there, or num_ctx of the model"

    def read(self, section: Section, hosts: Mapping[str, Host]) -> AnyOllamaModel:
        """Return a model from the fleet file."""
        return running_ollama(section) if "url" in section else ollama(section, hosts)

    def ports(self, fleet: Fleet) -> Mapping[tuple[str, str], int]:
        """Return the port of each host's server, for each of its models."""
        return {
            (model.name, host): server(models).port
            for host, models in by_host(fleet, OllamaModel).items()
            for model in models
        }

    def listeners(self, fleet: Fleet) -> Iterator[Listener]:
        """Yield the port of each host's server, at the key of the model that sets it."""
        for host, models in by_host(fleet, OllamaModel).items():
            first = next((model for model in models if "port" in model.server), models[0])
            key = ("models", first.name, "port")
            yield Listener(key, f"the Ollama of {first.name}", (host,), server(models).port)

    def installed(self, fleet: Fleet) -> Iterator[Installed]:
        """Yield the release of each host's server."""
        for models in by_host(fleet, OllamaModel).values():
            chosen = server(models)
            first = next((model for model in models if "version" in model.server), models[0])
            yield Installed(version(chosen), f"models.{first.name}.version")

    def abilities(self, model: AnyOllamaModel) -> KnownAbilities:
        """Return thinking for every model: Ollama removes it for one that does not think."""
        thinking = ThinkingKeys("switchable", "enabled", efforts=("low", "medium", "high"))
        return replace(super().abilities(model), thinking=assumed(thinking))

    def cut_weights(self, model: AnyOllamaModel) -> str | None:
        """Return an id that changes with the weights, as far as the fleet file determines them.

        Ollama removes whole messages from the start of a prompt that does not fit.
        """
        if isinstance(model, RunningOllamaModel):
            return model.name_at_engine
        if model.modelfile:
            return sha256(Path(model.modelfile).read_bytes()).hexdigest()[:12]
        if model.store:
            return ollama_store.read(Path(model.store), model.tag).digest[:12]
        return f"{model.tag}@{model.digest}" if model.digest else str(model.tag)

    def derived_parameters(self, model: AnyOllamaModel) -> Mapping[str, str]:
        """Return the parameters for Ollama's own API that are derived."""
        if isinstance(model, RunningOllamaModel):
            return {
                "api_key": f"Write models.{model.name}.api_key.",
                "keep_alive": "Set OLLAMA_KEEP_ALIVE where this Ollama runs.",
                "num_ctx": f"Set it where this Ollama runs, and as models.{model.name}.context.",
            }
        return {
            **super().derived_parameters(model),
            "keep_alive": f"Write models.{model.name}.keep_alive.",
            "num_ctx": f"Write models.{model.name}.context.",
        }

    def served_windows(self, answer: Mapping[str, Any]) -> dict[str, int | None]:
        """Return the models, without windows: Ollama lists names with tags only."""
        models = answer.get("models", ())
        return {str(model["name"]).removesuffix(":latest"): None for model in models}
