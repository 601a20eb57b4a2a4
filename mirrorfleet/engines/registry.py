"""The engines that a fleet file can name."""

from __future__ import annotations

from typing import Any

from mirrorfleet.config import EngineModel
from mirrorfleet.engines.external import External
from mirrorfleet.engines.ollama import Ollama
from mirrorfleet.engines.protocol import Engine
from mirrorfleet.engines.vllm import Vllm

ENGINES: dict[str, Engine[Any]] = {each.name: each for each in (Vllm(), Ollama(), External())}
"""Engines by their word in the fleet file, in the order in which a host starts them."""


def engine_of(model: EngineModel) -> Engine[Any]:
    """Return the engine that serves a model."""
    return ENGINES[model.engine]
