"""The plan of each vLLM engine: one for each model on a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mirrorfleet.config import EngineModel, Fleet, Host, Hub, Secret
from mirrorfleet.config.engine_model import Device, Task
from mirrorfleet.config.vllm import VllmModel, Weights
from mirrorfleet.engines.abilities import known_abilities
from mirrorfleet.engines.placement import assign, by_host, sharers
from mirrorfleet.engines.vllm.families import arguments
from mirrorfleet.engines.vllm.parsers import reasoning_parser, tool_parser
from mirrorfleet.engines.vllm.sharing import sharing_hosts
from mirrorfleet.engines.vllm.thinking import defaults
from mirrorfleet.planning.firewall_rules import EngineRule, FirewallRule, addresses, engine_clients
from mirrorfleet.planning.proof import ProofPlan, proof
from mirrorfleet.planning.provenance import derived_from

TEMPLATE = "default-chat-template-kwargs"


@dataclass(frozen=True)
class NodePlan:
    """One of the hosts that serve a model together."""

    name: str
    address: str = derived_from("hosts.{name}.address")
    devices: tuple[Device, ...] = derived_from("models.{model}.devices", "hosts.{name}.gpus.count")


@dataclass(frozen=True)
class NodesPlan:
    """The hosts that serve a model together.

    ``rank``: position of this host, from 0; rank 0 serves the API. ``allowed_sources``: clients of
    the engine; empty if the file has none.
    """

    rank: int = derived_from(
        "models.{model}.hosts", reason="the position of this host among the nodes"
    )
    port: int = derived_from("models.{model}.node_port")
    members: tuple[NodePlan, ...] = derived_from("models.{model}.nodes", "models.{model}.hosts")
    allowed_sources: tuple[str, ...] = derived_from(
        "gateway.hosts",
        "firewall.engines",
        reason="the ports between nodes have no key: all other sources are blocked",
    )


@dataclass(frozen=True)
class NodeRule(FirewallRule):
    """A port between the nodes of a model."""

    name: str = derived_from("models.{name}")
    port: int = derived_from("models.{name}.node_port")
    allowed_sources: tuple[str, ...] = derived_from("models.{name}.nodes", "models.{name}.hosts")


@dataclass(frozen=True)
class Neighbour:
    """A host that has or needs the same weights."""

    name: str
    address: str = derived_from("hosts.{name}.address")


@dataclass(frozen=True)
class NeighboursPlan:
    """The hosts that take a model's weights from each other during a run, this one included."""

    port: int = derived_from("weights.port")
    hosts: tuple[Neighbour, ...] = derived_from(
        "models.{model}.hosts",
        "weights.share",
        reason="those with an IP address; the hub sends each file once",
    )


@dataclass(frozen=True)
class WeightsRule(FirewallRule):
    """The port at which hosts pass on weights during a run."""

    name: str = derived_from("weights")
    port: int = derived_from("weights.port")
    allowed_sources: tuple[str, ...] = derived_from(
        "models.*.hosts", reason="other hosts of the same models"
    )


@dataclass(frozen=True)
class VllmPlan:
    """A vLLM engine, or one node of it: a model on one host, on the GPUs ``devices``."""

    engine: str = derived_from("models.{model}.engine")
    model: str = derived_from("models.{model}", reason="the engine's --served-model-name")
    task: Task | None = derived_from("models.{model}.task")
    version: str = derived_from("models.{model}.version")
    build: Literal["cuda", "cpu"] = derived_from("models.{model}.build")
    lock: Path = derived_from(
        "models.{model}.version",
        "models.{model}.build",
        reason="the project's, else the shipped one",
    )
    weights: Weights = derived_from("models.{model}.weights", "models.{model}.revision")
    hub: Hub | None = derived_from("hub", reason="the weights are in a repository")
    neighbours: NeighboursPlan | None = derived_from("weights.share", "models.{model}.hosts")
    listen: str = derived_from(
        "hosts.{host}.address",
        # Never 0.0.0.0: other network interfaces stay closed.
        reason="the address that the gateways connect to, and no other",
    )
    port: int = derived_from("models.{model}.port")
    context: int = derived_from(
        "models.{model}.context", reason="the same context window for engine, gateway and client"
    )
    tensor_parallel: int = derived_from("models.{model}.tensor_parallel")
    pipeline_parallel: int = derived_from(
        "models.{model}.pipeline_parallel", "models.{model}.nodes"
    )
    data_parallel: int = derived_from("models.{model}.data_parallel")
    devices: tuple[Device, ...] = derived_from(
        "models.{model}.devices",
        "hosts.{host}.gpus.count",
        reason="if unset, the first GPUs that no other model has",
    )
    shares_gpus_with: tuple[str, ...] = derived_from(
        "models.{model}.devices",
        reason="engines on one GPU start one after the other: each measures its free memory",
    )
    cuda_compat: str | None = derived_from("hosts.{host}.gpus.cuda_compat")
    gpu_memory_utilization: float = derived_from("models.{model}.gpu_memory_utilization")
    dtype: str | None = derived_from("models.{model}.dtype")
    quantization: str | None = derived_from("models.{model}.quantization")
    kv_cache_dtype: str | None = derived_from("models.{model}.kv_cache_dtype")
    max_num_seqs: int | None = derived_from("models.{model}.max_num_seqs")
    concurrency: int | None = derived_from(
        "models.{model}.concurrency",
        reason="checked against the engine's KV cache after its start",
    )
    tool_parser: str | None = derived_from(
        "models.{model}.tool_parser",
        "models.{model}.family",
        reason="if unset, from the family in mirrorfleet/data/families.yml",
    )
    reasoning_parser: str | None = derived_from(
        "models.{model}.reasoning_parser",
        "models.{model}.family",
        reason="if unset, from the family in mirrorfleet/data/families.yml",
    )
    chat_template: Path | None = derived_from(
        "models.{model}.chat_template", reason="if unset, that of the weights"
    )
    template_arguments: Mapping[str, Any] = derived_from(
        "models.{model}.thinking",
        "models.{model}.family",
        "models.{model}.arguments.default-chat-template-kwargs",
        reason="a request without thinking must not think: a client sends none if it is disabled",
    )
    arguments: Mapping[str, Any] = derived_from(
        "models.{model}.arguments",
        "models.{model}.family",
        reason="with the options that the family needs in mirrorfleet/data/families.yml",
    )
    environment: Mapping[str, str] = derived_from("models.{model}.environment")
    api_key: Secret | None = derived_from("models.{model}.api_key")
    nodes: NodesPlan | None = derived_from("models.{model}.nodes")
    proof: ProofPlan = derived_from("models.{model}", reason="proved after the start")

    @property
    def service(self) -> str:
        return f"vllm-{self.model}"

    @property
    def is_head(self) -> bool:
        """Return whether this node serves the API of the model."""
        return self.nodes is None or self.nodes.rank == 0

    @property
    def head_address(self) -> str:
        """Return the address of the node that serves the API."""
        return self.nodes.members[0].address if self.nodes else self.listen

    @property
    def windows(self) -> Mapping[str, int]:
        return {self.model: self.context}

    @property
    def peers(self) -> tuple[str, ...]:
        """Return all hosts that serve the model together; empty for one host."""
        return tuple(member.name for member in self.nodes.members) if self.nodes else ()


def plans(fleet: Fleet) -> dict[str, tuple[VllmPlan, ...]]:
    """Derive the engines by host, in the order of the fleet file."""
    devices = {
        (host, share.model.name): share.devices
        for host, models in by_host(fleet, EngineModel).items()
        for share in assign(models, fleet.hosts[host].gpus)
    }
    return {
        name: tuple(_engine(fleet, model, models, fleet.hosts[name], devices) for model in models)
        for name, models in by_host(fleet, VllmModel).items()
    }


def rules(fleet: Fleet) -> Iterator[tuple[str, FirewallRule]]:
    """Yield the rules of engines, nodes and weights, each with its host.

    If the file has no clients of engines, only nodes have rules: the first node connects to the
    others, and they connect to it.
    """
    clients = engine_clients(fleet)
    for host, models in by_host(fleet, VllmModel).items():
        for model in models:
            if clients and host in model.heads:
                yield host, EngineRule(model.name, model.port, clients)
            [nodes] = [hosts for hosts in model.replicas if host in hosts]
            if host == nodes[0] and nodes[1:]:
                allowed_sources = addresses(fleet, nodes[1:], ())
                yield host, NodeRule(model.name, model.node_port + 1, allowed_sources)
            elif host != nodes[0]:
                allowed_sources = addresses(fleet, nodes[:1], ())
                yield host, NodeRule(model.name, model.node_port, allowed_sources)
        sharing = (sharing_hosts(fleet, model) for model in models)
        together = [hosts for hosts in sharing if host in hosts]
        others = dict.fromkeys(name for hosts in together for name in hosts if name != host)
        if others:
            yield host, WeightsRule("weights", fleet.weights.port, addresses(fleet, others, ()))


Devices = Mapping[tuple[str, str], tuple[Device, ...]]
"""The GPUs of each host and model."""


def _nodes(fleet: Fleet, model: VllmModel, host: str, devices: Devices) -> NodesPlan | None:
    if model.nodes == 1:
        return None
    [hosts] = [replica for replica in model.replicas if host in replica]
    has_firewall = fleet.firewall.on and fleet.hosts[host].firewall
    return NodesPlan(
        rank=hosts.index(host),
        port=model.node_port,
        members=tuple(
            NodePlan(name, fleet.hosts[name].address, devices[name, model.name]) for name in hosts
        ),
        allowed_sources=engine_clients(fleet) if has_firewall else (),
    )


def _neighbours(fleet: Fleet, model: VllmModel, host: str) -> NeighboursPlan | None:
    hosts = sharing_hosts(fleet, model)
    if host not in hosts:
        return None
    return NeighboursPlan(
        fleet.weights.port, tuple(Neighbour(name, fleet.hosts[name].address) for name in hosts)
    )


def _engine(
    fleet: Fleet, model: VllmModel, models: Sequence[VllmModel], host: Host, devices: Devices
) -> VllmPlan:
    template_arguments: Mapping[str, Any] = {}
    if not model.task and TEMPLATE not in model.arguments:
        template_arguments = defaults(model, known_abilities(model).thinking.value)
    return VllmPlan(
        engine=model.engine,
        model=model.name,
        task=model.task,
        version=model.version,
        build=model.build,
        lock=fleet.locks.path("vllm", model.lock_name),
        weights=model.weights,
        hub=fleet.hub if model.weights.kind == "hub" else None,
        neighbours=_neighbours(fleet, model, host.name),
        listen=host.address,
        port=model.port,
        context=model.context,
        tensor_parallel=model.tensor_parallel,
        pipeline_parallel=model.pipeline_parallel,
        data_parallel=model.data_parallel,
        devices=devices[host.name, model.name],
        shares_gpus_with=tuple(
            other.name for other in sharers(models, model) if other is not model
        ),
        cuda_compat=host.cuda_compat if model.build == "cuda" else None,
        gpu_memory_utilization=model.gpu_memory_utilization,
        dtype=model.dtype,
        quantization=model.quantization,
        kv_cache_dtype=model.kv_cache_dtype,
        max_num_seqs=model.max_num_seqs,
        concurrency=model.concurrency,
        tool_parser=tool_parser(model),
        reasoning_parser=reasoning_parser(model),
        chat_template=model.chat_template,
        template_arguments=template_arguments,
        arguments={
            name: value
            for name, value in arguments(model).items()
            # Thinking decides these arguments, unless the file has them.
            if name != TEMPLATE or not template_arguments
        },
        environment=model.environment,
        api_key=model.api_key,
        nodes=_nodes(fleet, model, host.name, devices),
        proof=proof(fleet, model),
    )
