"""Paths and texts of vLLM's models that their service cannot read."""

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
            # A program that writes below /tmp finds one there: the service's own.
            yield from path(fleet, (*key, "environment", name), value, HOMES)


def _argument(fleet: Fleet, key: Key, value: Any) -> Iterator[Problem]:
    """Look at an option, and at all that is in one that is JSON."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _argument(fleet, (*key, name), each)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _argument(fleet, (*key, at), each)
    elif isinstance(value, str):
        yield from path(fleet, key, value)
