"""The engines that a fleet file can use."""

from __future__ import annotations

from typing import Any

from mirrorfleet.config import EngineModel
from mirrorfleet.engines.external import External
from mirrorfleet.engines.ollama import Ollama
from mirrorfleet.engines.protocol import Engine
from mirrorfleet.engines.vllm import Vllm

ENGINES: dict[str, Engine[Any]] = {engine.name: engine for engine in (Vllm(), Ollama(), External())}
"""Engines by their name in the fleet file, in the order of their start on a host."""


def engine_of(model: EngineModel) -> Engine[Any]:
    """Return the engine that serves a model."""
    return ENGINES[model.engine]
