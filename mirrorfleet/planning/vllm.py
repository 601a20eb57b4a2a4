"""The plan of each vLLM: one for a model on a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mirrorfleet.config import EngineModel, Fleet, Host, Hub, Secret
from mirrorfleet.config.vllm import VllmModel, Weights
from mirrorfleet.engines.placement import assign, by_host
from mirrorfleet.engines.vllm.parsers import reasoning_parser, tool_parser
from mirrorfleet.planning.doors import DoorPlan, EngineDoor, addresses, engine_clients
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
class NodeDoor(DoorPlan):
    """A port at which the nodes of a model meet."""

    name: str = comes("models.{name}")
    port: int = comes("models.{name}.node_port")
    admits: tuple[str, ...] = comes("models.{name}.nodes", "models.{name}.hosts")


@dataclass(frozen=True)
class VllmPlan:
    """One engine, or one node's part of it: a model served by vLLM on one host, on the GPUs
    ``devices`` of it.
    """

    engine: str = comes("models.{model}.engine")
    model: str = comes("models.{model}", because="the engine's --served-model-name")
    version: str = comes("models.{model}.version")
    build: Literal["cuda", "cpu"] = comes("models.{model}.build")
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
    def service(self) -> str:
        return f"vllm-{self.model}"

    @property
    def answers(self) -> bool:
        """Is this where the model is asked, and not another node of it?"""
        return self.nodes is None or self.nodes.rank == 0

    @property
    def head(self) -> str:
        """The address of the node that answers."""
        return self.nodes.members[0].address if self.nodes else self.listen

    @property
    def windows(self) -> Mapping[str, int]:
        return {self.model: self.context}

    @property
    def partners(self) -> tuple[str, ...]:
        """The hosts that serve the model together; empty if it is on one host."""
        return tuple(member.name for member in self.nodes.members) if self.nodes else ()


def plans(fleet: Fleet) -> dict[str, tuple[VllmPlan, ...]]:
    """Derive the engines of every host that has any, in the order of the fleet file."""
    devices = {
        (host, share.model.name): share.devices
        for host, models in by_host(fleet, EngineModel).items()
        for share in assign(models, fleet.hosts[host].gpus)
    }
    return {
        name: tuple(_engine(fleet, model, fleet.hosts[name], devices) for model in models)
        for name, models in by_host(fleet, VllmModel).items()
    }


def doors(fleet: Fleet) -> Iterator[tuple[str, DoorPlan]]:
    """Yield the doors of engines, and those behind which the nodes of a model meet.

    Where the file names no client of engines, only nodes have doors. The first node asks the
    others, and they join it.
    """
    clients = engine_clients(fleet)
    for host, models in by_host(fleet, VllmModel).items():
        for model in models:
            if clients and host in model.heads:
                yield host, EngineDoor(model.name, model.port, clients)
            [nodes] = [each for each in model.replicas if host in each]
            if host == nodes[0] and nodes[1:]:
                admits = addresses(fleet, nodes[1:], ())
                yield host, NodeDoor(model.name, model.node_port + 1, admits)
            elif host != nodes[0]:
                admits = addresses(fleet, nodes[:1], ())
                yield host, NodeDoor(model.name, model.node_port, admits)


Devices = Mapping[tuple[str, str], tuple[int, ...]]
"""The GPUs of each host and model."""


def _nodes(fleet: Fleet, model: VllmModel, host: str, devices: Devices) -> NodesPlan | None:
    if model.nodes == 1:
        return None
    [hosts] = [each for each in model.replicas if host in each]
    return NodesPlan(
        rank=hosts.index(host),
        port=model.node_port,
        members=tuple(
            NodePlan(name, fleet.hosts[name].address, devices[name, model.name]) for name in hosts
        ),
        admits=engine_clients(fleet) if fleet.firewall.on and fleet.hosts[host].firewall else (),
    )


def _engine(fleet: Fleet, model: VllmModel, host: Host, devices: Devices) -> VllmPlan:
    return VllmPlan(
        engine=model.engine,
        model=model.name,
        version=model.version,
        build=model.build,
        weights=model.weights,
        hub=fleet.hub if model.weights.kind == "hub" else None,
        listen=host.address,
        port=model.port,
        context=model.context,
        tensor_parallel=model.tensor_parallel,
        pipeline_parallel=model.pipeline_parallel,
        data_parallel=model.data_parallel,
        devices=devices[host.name, model.name],
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
        nodes=_nodes(fleet, model, host.name, devices),
    )
