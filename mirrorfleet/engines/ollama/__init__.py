"""Ollama: one server per host, for all its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.ollama import OllamaModel, ollama
from mirrorfleet.config.reader import Section
from mirrorfleet.engines.ollama.servers import server
from mirrorfleet.engines.placement import by_host
from mirrorfleet.engines.protocol import Engine, Listener


class Ollama(Engine[OllamaModel]):
    """The engine ``ollama``."""

    name: ClassVar[str] = OllamaModel.engine
    title: ClassVar[str] = "Ollama"
    alive_path: ClassVar[str] = "/api/version"
    models_path: ClassVar[str] = "/api/tags"

    def read(self, section: Section, hosts: Mapping[str, Host]) -> OllamaModel:
        """Return a model from the fleet file."""
        return ollama(section, hosts)

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

    def refused_effort(self, model: OllamaModel) -> Sequence[str]:
        """Return the levels besides low, medium and high."""
        return ("max_effort", "xhigh_effort")

    def cut_weights(self, model: OllamaModel) -> str | None:
        """Return an id that changes with the weights, as far as the fleet file determines them.

        Ollama removes whole messages from the start of a prompt that does not fit.
        """
        if model.modelfile:
            return sha256(Path(model.modelfile).read_bytes()).hexdigest()[:12]
        return f"{model.tag}@{model.digest}" if model.digest else str(model.tag)

    def derived_parameters(self, model: OllamaModel) -> Mapping[str, str]:
        """Return the parameters for Ollama's own API that are derived."""
        return {
            **super().derived_parameters(model),
            "keep_alive": f"Write models.{model.name}.keep_alive.",
            "num_ctx": f"Write models.{model.name}.context.",
        }

    def served_windows(self, answer: Mapping[str, Any]) -> dict[str, int | None]:
        """Return the models, without windows: Ollama lists names with tags only."""
        models = answer.get("models", ())
        return {str(model["name"]).removesuffix(":latest"): None for model in models}
