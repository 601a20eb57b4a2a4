"""What each engine of vLLM is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fleet.data import table
from fleet.devices import Share, assign
from fleet.spec import Fleet, Host, Secret, VllmModel, Weights


@dataclass(frozen=True)
class VllmPlan:
    """One engine: a model served by vLLM on one host, on the GPUs ``devices`` of it."""

    model: str
    version: str
    build: Literal["cuda", "cpu"]
    weights: Weights
    listen: str
    port: int
    context: int
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    devices: tuple[int, ...]
    gpu_memory_utilization: float
    dtype: str | None
    quantization: str | None
    kv_cache_dtype: str | None
    max_num_seqs: int | None
    tool_parser: str
    reasoning_parser: str | None
    arguments: Mapping[str, Any]
    api_key: Secret | None


def vllm(fleet: Fleet, host: Host) -> tuple[VllmPlan, ...]:
    """Derive the engines of a host, in the order of the fleet file."""
    models = [
        model
        for model in fleet.models.values()
        if isinstance(model, VllmModel) and host.name in model.hosts
    ]
    return tuple(_engine(share, host) for share in assign(models, host.gpus))


def _engine(share: Share, host: Host) -> VllmPlan:
    model = share.model
    parsers = table("families")[model.family]
    return VllmPlan(
        model=model.name,
        version=model.version,
        build=model.build,
        weights=model.weights,
        # The address that the gateways use, never 0.0.0.0: a second network card stays closed.
        listen=host.address,
        port=model.port,
        context=model.context,
        tensor_parallel=model.tensor_parallel,
        pipeline_parallel=model.pipeline_parallel,
        data_parallel=model.data_parallel,
        devices=share.devices,
        gpu_memory_utilization=model.gpu_memory_utilization,
        dtype=model.dtype,
        quantization=model.quantization,
        kv_cache_dtype=model.kv_cache_dtype,
        max_num_seqs=model.max_num_seqs,
        tool_parser=parsers["tool_parser"],
        reasoning_parser=parsers.get("reasoning_parser"),
        arguments=model.arguments,
        api_key=model.api_key,
    )
