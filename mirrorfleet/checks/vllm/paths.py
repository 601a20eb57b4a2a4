"""Paths that the service of a vLLM model cannot read, and control characters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.checks.paths import path, text
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.sandbox import HOMES
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        key: Key = ("models", model.name)
        if model.weights.kind == "path":
            yield from path(fleet, (*key, "weights", "path"), model.weights.source)
        for name, value in model.arguments.items():
            yield from _argument(fleet, (*key, "arguments", name), value)
            yield from text(fleet, (*key, "arguments", name), value)
        for name, value in model.environment.items():
            # Below /tmp is allowed: the service has its own /tmp to write to.
            yield from path(fleet, (*key, "environment", name), value, HOMES)


def _argument(fleet: Fleet, key: Key, value: Any) -> Iterator[Problem]:
    """Yield a problem for each hidden path in an option and in all values inside it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _argument(fleet, (*key, name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _argument(fleet, (*key, index), inner)
    elif isinstance(value, str):
        yield from path(fleet, key, value)
