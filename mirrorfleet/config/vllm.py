"""Models that vLLM serves on hosts of the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Secret, Section


@dataclass(frozen=True)
class Weights:
    """``source`` is a repository id (hub), a directory of the controller (push) or of the host."""

    kind: Literal["hub", "push", "path"]
    source: str
    revision: str | None


@dataclass(frozen=True)
class VllmModel:
    """``devices`` are GPU indices, derived when not said; ``arguments`` are vLLM's own options.

    ``family`` decides the parsers that the model does not name itself: see fleet/parsers.py.
    """

    name: str
    version: str
    build: Literal["cuda", "cpu"]
    weights: Weights
    family: str | None
    tool_parser: str | None
    reasoning_parser: str | None
    hosts: tuple[str, ...]
    nodes: int
    node_port: int
    port: int
    context: int
    output: int
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    devices: tuple[int, ...] | None
    gpu_memory_utilization: float
    dtype: str | None
    quantization: str | None
    kv_cache_dtype: str | None
    max_num_seqs: int | None
    concurrency: int | None
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]
    api_key: Secret | None

    @property
    def lock_name(self) -> str:
        """The name of its lock file: the release, and ``-cpu`` for that build."""
        return f"{self.version}{'-cpu' if self.build == 'cpu' else ''}"

    @property
    def gpus(self) -> int:
        """How many GPUs one replica takes of each of its hosts."""
        if self.build == "cpu":
            return 0
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel // self.nodes

    @property
    def replicas(self) -> tuple[tuple[str, ...], ...]:
        """The hosts of each replica; the first one answers."""
        starts = range(0, len(self.hosts), self.nodes)
        return tuple(self.hosts[at : at + self.nodes] for at in starts)

    @property
    def heads(self) -> tuple[str, ...]:
        """The hosts that answer."""
        return self.hosts[:: self.nodes]


def vllm(said: Section, hosts: Mapping[str, Host]) -> VllmModel:
    return VllmModel(
        name=said.name,
        version=said["version"],
        build=said.get("build", "cuda"),
        weights=_weights(said),
        family=said.get("family"),
        tool_parser=said.get("tool_parser"),
        reasoning_parser=said.get("reasoning_parser"),
        hosts=chosen(said, hosts),
        nodes=said.get("nodes", 1),
        node_port=said.get("node_port", 29500),
        port=said.get("port", 8000),
        context=said["context"],
        output=said["output"],
        tensor_parallel=said.get("tensor_parallel", 1),
        pipeline_parallel=said.get("pipeline_parallel", said.get("nodes", 1)),
        data_parallel=said.get("data_parallel", 1),
        devices=tuple(said["devices"]) if "devices" in said else None,
        gpu_memory_utilization=said.get("gpu_memory_utilization", 0.9),
        dtype=said.get("dtype"),
        quantization=said.get("quantization"),
        kv_cache_dtype=said.get("kv_cache_dtype"),
        max_num_seqs=said.get("max_num_seqs"),
        concurrency=said.get("concurrency"),
        arguments=said.get("arguments", {}),
        environment={name: str(value) for name, value in said.get("environment", {}).items()},
        api_key=said.secret("api_key"),
    )


def _weights(said: Section) -> Weights:
    if isinstance(said["weights"], str):
        return Weights("hub", said["weights"], said.get("revision"))
    weights = said.section("weights")
    if "push" in weights:
        return Weights("push", str(weights.path("push")), None)
    return Weights("path", weights["path"], None)
