"""The plan of the Ollama server of a host, and of its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config import Fleet, Host, modelfile
from mirrorfleet.config.ollama import OllamaModel, OllamaServer, Release
from mirrorfleet.engines.ollama import servers
from mirrorfleet.engines.placement import by_host, free
from mirrorfleet.planning.firewall_rules import FirewallRule, ServerRule, engine_clients
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class OllamaModelPlan:
    """One model. ``recipe`` is the body of /api/create without the name.

    Its ``files`` and ``adapters`` are paths on the controller. A model without a ``tag`` consists
    of these files.
    """

    model: str = derived_from("models.{model}")
    tag: str | None = derived_from("models.{model}.weights")
    digest: str | None = derived_from("models.{model}.digest")
    context: int = derived_from(
        "models.{model}.context", reason="the same context window for engine, gateway and client"
    )
    own_abilities: Mapping[str, bool] = derived_from(
        "models.{model}",
        reason="compared with what the server reports of the model",
    )
    recipe: Mapping[str, Any] = derived_from(
        "models.{model}.weights", "models.{model}.context", reason="num_ctx is the context"
    )


@dataclass(frozen=True)
class OllamaPlan:
    """The server of one host, on the GPUs ``devices``; without any, on the CPU.

    ``releases``: the archive for each architecture, because only the host knows its own.
    """

    engine: str = derived_from("models.*.engine")
    version: str = derived_from(
        "models.*.version", reason="if unset, the newest in mirrorfleet/data/ollama.yml"
    )
    releases: Mapping[str, Release] = derived_from(
        "models.*.release", reason="if unset, from mirrorfleet/data/ollama.yml"
    )
    listen: str = derived_from(
        "hosts.{host}.address",
        # Never 0.0.0.0: Ollama has no keys.
        reason="the address that the gateways connect to, and no other",
    )
    port: int = derived_from("models.*.port")
    devices: tuple[int, ...] = derived_from(
        "hosts.{host}.gpus.count", reason="the GPUs that are not assigned to other models"
    )
    context: int = derived_from("models.*.context", reason="the largest, as the server's default")
    keep_alive: str = derived_from("models.*.keep_alive")
    parallel: int = derived_from("models.*.parallel")
    max_loaded_models: int | None = derived_from("models.*.max_loaded_models")
    max_queue: int | None = derived_from("models.*.max_queue")
    kv_cache_type: str | None = derived_from("models.*.kv_cache_type")
    flash_attention: bool | None = derived_from(
        "models.*.flash_attention", reason="true if kv_cache_type needs it"
    )
    models_directory: str = derived_from("models.*.models_directory")
    models: tuple[OllamaModelPlan, ...] = derived_from("models")

    @property
    def service(self) -> str:
        return "ollama"

    @property
    def is_head(self) -> bool:
        return True

    @property
    def head_address(self) -> str:
        return self.listen

    @property
    def windows(self) -> Mapping[str, int]:
        return {model.model: model.context for model in self.models}

    @property
    def peers(self) -> tuple[str, ...]:
        return ()


def plans(fleet: Fleet) -> dict[str, tuple[OllamaPlan]]:
    """Derive the Ollama servers, by host."""
    return {
        name: (_server(fleet, fleet.hosts[name], models),)
        for name, models in by_host(fleet, OllamaModel).items()
    }


def rules(fleet: Fleet) -> Iterator[tuple[str, FirewallRule]]:
    """Yield the rule of each Ollama server with its host, if the file has clients of engines."""
    clients = engine_clients(fleet)
    for host, models in by_host(fleet, OllamaModel).items() if clients else ():
        yield host, ServerRule(OllamaModel.engine, servers.server(models).port, clients)


def _server(fleet: Fleet, host: Host, models: list[OllamaModel]) -> OllamaPlan:
    server = servers.server(models)
    return OllamaPlan(
        engine=OllamaModel.engine,
        version=servers.version(server),
        releases=servers.releases(server),
        listen=host.address,
        port=server.port,
        devices=free(fleet, host),
        context=max(model.context for model in models),
        keep_alive=server.keep_alive,
        parallel=server.parallel,
        max_loaded_models=server.max_loaded_models,
        max_queue=server.max_queue,
        kv_cache_type=server.kv_cache_type,
        flash_attention=_flash_attention(server),
        models_directory=server.models_directory,
        models=tuple(_model(model) for model in models),
    )


def _flash_attention(server: OllamaServer) -> bool | None:
    if server.flash_attention is None and server.kv_cache_type not in (None, "f16"):
        return True
    return server.flash_attention


def _model(model: OllamaModel) -> OllamaModelPlan:
    recipe: dict[str, Any] = {"from": model.tag}
    if model.modelfile:
        recipe = modelfile.read(model.modelfile)
    parameters = {**recipe.get("parameters", {}), "num_ctx": model.context}
    return OllamaModelPlan(
        model=model.name,
        tag=recipe.get("from"),
        digest=model.digest,
        context=model.context,
        own_abilities=_own_abilities(model),
        recipe={**recipe, "parameters": parameters},
    )


def _own_abilities(model: OllamaModel) -> dict[str, bool]:
    """Return the abilities in the fleet file that the server reports as well."""
    own = model.own_abilities
    thinks = None if own.thinking is None else own.thinking.mode != "none"
    found = {"tools": own.tools, "vision": own.vision, "thinking": thinks}
    return {name: value for name, value in found.items() if value is not None}
