"""What each engine of vLLM is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mirrorfleet.config import Fleet, Host, Hub, Secret, VllmModel, Weights
from mirrorfleet.engines.gpus import Share, assign, placed
from mirrorfleet.engines.parsers import reasoning_parser, tool_parser
from mirrorfleet.planning.firewall import askers
from mirrorfleet.planning.provenance import comes


@dataclass(frozen=True)
class NodePlan:
    """One of the hosts that a model is spread over."""

    name: str
    address: str = comes("hosts.{name}.address")
    devices: tuple[int, ...] = comes("models.{model}.devices", "hosts.{name}.gpus.count")


@dataclass(frozen=True)
class NodesPlan:
    """The hosts that serve a model together; ``rank`` is this one's place among them, and the
    first answers for all. ``admits`` are those who may ask it, none where nobody knows.
    """

    rank: int = comes("models.{model}.hosts", because="the place of this host among its nodes")
    port: int = comes("models.{model}.node_port")
    members: tuple[NodePlan, ...] = comes("models.{model}.nodes", "models.{model}.hosts")
    admits: tuple[str, ...] = comes(
        "gateway.hosts",
        "firewall.engines",
        because="what nodes say to each other has no key: nobody else exchanges a packet with them",
    )


@dataclass(frozen=True)
class VllmPlan:
    """One engine, or one node's part of it: a model served by vLLM on one host, on the GPUs
    ``devices`` of it.
    """

    model: str = comes("models.{model}", because="the engine's --served-model-name")
    version: str = comes("models.{model}.version")
    build: Literal["cuda", "cpu"] = comes("models.{model}.build")
    lock: Path = comes(
        "models.{model}.version",
        "models.{model}.build",
        because="yours in locks/, else the shipped one",
    )
    weights: Weights = comes("models.{model}.weights", "models.{model}.revision")
    hub: Hub | None = comes("hub", because="the weights are said as a repository")
    listen: str = comes(
        "hosts.{host}.address",
        # Never 0.0.0.0: a second network card stays closed.
        because="the address that the gateways use, and no other of the host",
    )
    port: int = comes("models.{model}.port")
    context: int = comes(
        "models.{model}.context", because="the window is said once, for engine, gateway and client"
    )
    tensor_parallel: int = comes("models.{model}.tensor_parallel")
    pipeline_parallel: int = comes("models.{model}.pipeline_parallel", "models.{model}.nodes")
    data_parallel: int = comes("models.{model}.data_parallel")
    devices: tuple[int, ...] = comes(
        "models.{model}.devices",
        "hosts.{host}.gpus.count",
        because="the GPUs that the model names, or the first that no other model has",
    )
    cuda_compat: str | None = comes("hosts.{host}.gpus.cuda_compat")
    gpu_memory_utilization: float = comes("models.{model}.gpu_memory_utilization")
    dtype: str | None = comes("models.{model}.dtype")
    quantization: str | None = comes("models.{model}.quantization")
    kv_cache_dtype: str | None = comes("models.{model}.kv_cache_dtype")
    max_num_seqs: int | None = comes("models.{model}.max_num_seqs")
    concurrency: int | None = comes(
        "models.{model}.concurrency",
        because="asked of the engine's KV cache when it has started",
    )
    tool_parser: str | None = comes(
        "models.{model}.tool_parser",
        "models.{model}.family",
        because="named by the model, else by its family in mirrorfleet/data/families.yml",
    )
    reasoning_parser: str | None = comes(
        "models.{model}.reasoning_parser",
        "models.{model}.family",
        because="named by the model, else by its family in mirrorfleet/data/families.yml",
    )
    arguments: Mapping[str, Any] = comes("models.{model}.arguments")
    environment: Mapping[str, str] = comes("models.{model}.environment")
    api_key: Secret | None = comes("models.{model}.api_key")
    nodes: NodesPlan | None = comes("models.{model}.nodes")

    @property
    def answers(self) -> bool:
        """Is this where the model is asked, and not another node of it?"""
        return self.nodes is None or self.nodes.rank == 0


def vllm(fleet: Fleet) -> dict[str, tuple[VllmPlan, ...]]:
    """Derive the engines of every host that has any, in the order of the fleet file."""
    shares = {
        name: assign(models, fleet.hosts[name].gpus) for name, models in placed(fleet).items()
    }
    return {
        name: tuple(
            _engine(fleet, share, fleet.hosts[name], _nodes(fleet, share.model, name, shares))
            for share in several
        )
        for name, several in shares.items()
    }


def _nodes(
    fleet: Fleet, model: VllmModel, host: str, shares: Mapping[str, list[Share]]
) -> NodesPlan | None:
    if model.nodes == 1:
        return None
    [hosts] = [each for each in model.replicas if host in each]
    return NodesPlan(
        rank=hosts.index(host),
        port=model.node_port,
        members=tuple(
            NodePlan(
                name,
                fleet.hosts[name].address,
                next(each.devices for each in shares[name] if each.model is model),
            )
            for name in hosts
        ),
        admits=askers(fleet) if fleet.firewall.on and fleet.hosts[host].firewall else (),
    )


def _engine(fleet: Fleet, share: Share, host: Host, nodes: NodesPlan | None) -> VllmPlan:
    model = share.model
    return VllmPlan(
        model=model.name,
        version=model.version,
        build=model.build,
        lock=fleet.locks.path("vllm", model.lock_name),
        weights=model.weights,
        hub=fleet.hub if model.weights.kind == "hub" else None,
        listen=host.address,
        port=model.port,
        context=model.context,
        tensor_parallel=model.tensor_parallel,
        pipeline_parallel=model.pipeline_parallel,
        data_parallel=model.data_parallel,
        devices=share.devices,
        cuda_compat=host.cuda_compat if model.build == "cuda" else None,
        gpu_memory_utilization=model.gpu_memory_utilization,
        dtype=model.dtype,
        quantization=model.quantization,
        kv_cache_dtype=model.kv_cache_dtype,
        max_num_seqs=model.max_num_seqs,
        concurrency=model.concurrency,
        tool_parser=tool_parser(model),
        reasoning_parser=reasoning_parser(model),
        arguments=model.arguments,
        environment=model.environment,
        api_key=model.api_key,
        nodes=nodes,
    )
