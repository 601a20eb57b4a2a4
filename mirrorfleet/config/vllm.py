"""Models that vLLM serves, on hosts of the fleet or where it already runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from mirrorfleet.config.abilities import ability_keys
from mirrorfleet.config.advisories import PYPI, Package
from mirrorfleet.config.engine_model import EngineModel
from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Section
from mirrorfleet.config.running import common

PACKAGE = Package(PYPI, "vllm")
"""What advisories call it."""


@dataclass(frozen=True)
class Weights:
    """``source`` is a repository id (hub), or a directory: of the controller (push) or the host."""

    kind: Literal["hub", "push", "path"]
    source: str
    revision: str | None


@dataclass(frozen=True, kw_only=True)
class AnyVllmModel(EngineModel):
    """A model of a vLLM, wherever it runs.

    ``family`` decides the parsers that the model does not name itself: see engines/vllm/parsers.py.
    """

    engine: ClassVar[str] = "vllm"

    family: str | None
    tool_parser: str | None
    reasoning_parser: str | None


@dataclass(frozen=True, kw_only=True)
class RunningVllmModel(AnyVllmModel):
    """A model of a vLLM that already runs."""


@dataclass(frozen=True, kw_only=True)
class VllmModel(AnyVllmModel):
    """A model with an engine of its own on each of its hosts.

    ``chat_template`` is a file of the controller; ``arguments`` are vLLM's own options.
    """

    version: str
    build: Literal["cuda", "cpu"]
    weights: Weights
    nodes: int
    node_port: int
    port: int
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    gpu_memory_utilization: float
    dtype: str | None
    quantization: str | None
    kv_cache_dtype: str | None
    max_num_seqs: int | None
    concurrency: int | None
    chat_template: Path | None
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]

    @property
    def lock_name(self) -> str:
        """Return the name of its lock file: the release, with ``-cpu`` for the CPU build."""
        return f"{self.version}{'-cpu' if self.build == 'cpu' else ''}"

    @property
    def gpus(self) -> int:
        """Return the number of GPUs that one replica uses on each of its hosts."""
        if self.build == "cpu":
            return 0
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel // self.nodes

    @property
    def gpu_share(self) -> float:
        """Return the share of the memory of each of its GPUs."""
        return self.gpu_memory_utilization

    @property
    def replicas(self) -> tuple[tuple[str, ...], ...]:
        """Return the hosts of each replica; the first one serves its requests."""
        starts = range(0, len(self.hosts), self.nodes)
        return tuple(self.hosts[at : at + self.nodes] for at in starts)


def running_vllm(section: Section) -> RunningVllmModel:
    """Read one of ``models`` with ``engine: vllm`` and ``url``."""
    return RunningVllmModel(
        **common(section),
        family=section.get("family"),
        tool_parser=section.get("tool_parser"),
        reasoning_parser=section.get("reasoning_parser"),
    )


def vllm(section: Section, hosts: Mapping[str, Host]) -> VllmModel:
    """Read one of ``models`` with ``engine: vllm`` and ``hosts``."""
    environment = section["environment"]
    return VllmModel(
        name=section.name,
        version=section["version"],
        build=section["build"],
        weights=_weights(section),
        family=section.get("family"),
        tool_parser=section.get("tool_parser"),
        reasoning_parser=section.get("reasoning_parser"),
        hosts=chosen(section, hosts),
        nodes=section["nodes"],
        node_port=section["node_port"],
        port=section["port"],
        context=section["context"],
        output=section.get("output") or 0,
        task=section.get("task"),
        tensor_parallel=section["tensor_parallel"],
        pipeline_parallel=section.get("pipeline_parallel") or section["nodes"],
        data_parallel=section["data_parallel"],
        devices=tuple(section["devices"]) if "devices" in section else None,
        gpu_memory_utilization=section["gpu_memory_utilization"],
        dtype=section.get("dtype"),
        quantization=section.get("quantization"),
        kv_cache_dtype=section.get("kv_cache_dtype"),
        max_num_seqs=section.get("max_num_seqs"),
        concurrency=section.get("concurrency"),
        chat_template=section.path("chat_template"),
        arguments=section["arguments"],
        environment={name: str(value) for name, value in environment.items()},
        api_key=section.secret("api_key"),
        own_abilities=ability_keys(section),
    )


def _weights(section: Section) -> Weights:
    if isinstance(section["weights"], str):
        return Weights("hub", section["weights"], section.get("revision"))
    weights = section.mapping("weights")
    if "push" in weights:
        return Weights("push", str(weights.path("push")), None)
    return Weights("path", weights["path"], None)
