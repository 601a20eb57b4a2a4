"""vLLM: one engine per model, with its own ports, parsers and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.abilities import ThinkingKeys
from mirrorfleet.config.advisories import Package
from mirrorfleet.config.reader import Section
from mirrorfleet.config.vllm import PACKAGE, AnyVllmModel, VllmModel, running_vllm, vllm
from mirrorfleet.engines.known import KnownAbilities, ThinkingArguments
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.protocol import Engine, Installed, Listener
from mirrorfleet.engines.vllm import derived, parsers
from mirrorfleet.engines.vllm.sharing import sharing_hosts
from mirrorfleet.engines.vllm.thinking import arguments


class Vllm(Engine[AnyVllmModel]):
    """The engine ``vllm``."""

    name: ClassVar[str] = VllmModel.engine
    title: ClassVar[str] = "vLLM"
    key_variable: ClassVar[str] = "VLLM_API_KEY"
    tools_keys: ClassVar[str] = "'family' or 'tool_parser'"
    tools_fix: ClassVar[str] = "Start it with --enable-auto-tool-choice and --tool-call-parser"
    window_fix: ClassVar[str] = "Start it with a larger --max-model-len"
    has_template_arguments: ClassVar[bool] = True
    metrics_path: ClassVar[str] = "/metrics"
    has_locks: ClassVar[bool] = True
    package: ClassVar[Package | None] = PACKAGE

    def read(self, section: Section, hosts: Mapping[str, Host]) -> AnyVllmModel:
        """Return a model from the fleet file."""
        return running_vllm(section) if "url" in section else vllm(section, hosts)

    def ports(self, fleet: Fleet) -> Mapping[tuple[str, str], int]:
        """Return the port of each model, on the hosts that serve its API."""
        return {
            (model.name, host): model.port
            for model in models_of(fleet, VllmModel)
            for host in model.heads
        }

    def listeners(self, fleet: Fleet) -> Iterator[Listener]:
        """Yield the API ports of models, the ports between nodes, and the one for weights."""
        for model in models_of(fleet, VllmModel):
            yield Listener(("models", model.name, "port"), model.name, model.heads, model.port)
            if model.nodes > 1:
                key, owner = ("models", model.name, "node_port"), f"the nodes of {model.name}"
                yield Listener(key, owner, model.hosts, model.node_port)
                yield Listener(key, owner, model.hosts, model.node_port + 1)
        sharing = (sharing_hosts(fleet, model) for model in models_of(fleet, VllmModel))
        if hosts := dict.fromkeys(host for each in sharing for host in each):
            yield Listener(("weights", "port"), "shared weights", tuple(hosts), fleet.weights.port)

    def installed(self, fleet: Fleet) -> Iterator[Installed]:
        """Yield the release of each model."""
        for model in models_of(fleet, VllmModel):
            yield Installed(model.version, f"models.{model.name}.version", model.lock_name)

    def is_known(self, model: AnyVllmModel) -> bool:
        """Return whether the parsers are known: an unknown family has none."""
        return parsers.is_known(model)

    def abilities(self, model: AnyVllmModel) -> KnownAbilities:
        """Return what weights, parsers and family say."""
        return derived.abilities(model)

    def thinking_arguments(
        self, model: AnyVllmModel, thinking: ThinkingKeys
    ) -> ThinkingArguments | None:
        """Return the arguments of the model's chat template."""
        return arguments(model, thinking)

    def missing_tools(self, model: AnyVllmModel) -> str:
        """Return why a model without a parser of tool calls has no tools."""
        if model.own_abilities.tools is False:
            return super().missing_tools(model)
        if model.family is None:
            return "which has no 'tool_parser'"
        return f"whose family '{model.family}' has no tools"

    def derived_parameters(self, model: AnyVllmModel) -> Mapping[str, str]:
        """Return the parameters that send the engine's key."""
        parameters = {"api_key": f"Write models.{model.name}.api_key."}
        if model.api_key:
            parameters["extra_headers"] = "It sends the engine's key."
        return parameters

    def served_windows(self, answer: Mapping[str, Any]) -> dict[str, int | None]:
        """Return each model with its context window, in tokens."""
        models = answer.get("data", ())
        return {str(model["id"]): model.get("max_model_len") for model in models}
