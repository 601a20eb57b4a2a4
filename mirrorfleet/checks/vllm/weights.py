"""Weights that nobody pinned, and what their config.json says against the model's other keys."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.vllm import model_config

MOST = 1024
"""GPUs that anybody would split a layer over."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        yield from _revision(fleet, model)
        config = model_config.read(model_config.read_on_controller(model.weights))
        yield from _split(fleet, model, config)
        yield from _window(fleet, model, config)


def _revision(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    said = fleet.document.says("models", model.name, "revision")
    if model.weights.kind == "hub" and not said:
        yield fleet.document.problem(
            (*key, "weights"),
            "comes from a repository without a 'revision'.",
            "Write the 40-digit commit: what a branch holds changes under you.",
        )
    if model.weights.kind != "hub" and said:
        yield fleet.document.problem(
            (*key, "revision"),
            "says nothing about weights that come from a directory.",
            "Remove it.",
        )


def _split(fleet: Fleet, model: VllmModel, config: dict[str, object]) -> Iterator[Problem]:
    """Heads that cannot be shared out evenly; without a config.json, those of nearly all models."""
    key: Key = ("models", model.name, "tensor_parallel")
    gpus = model.tensor_parallel
    for count, kind in model_config.indivisible_heads(config, gpus):
        told = fleet.document.problem if kind == "attention heads" else fleet.document.warning
        yield told(
            key,
            f"is {gpus}, which does not divide the {count} {kind} of the model evenly.",
            f"Write {_even(config, gpus)}.",
        )
        return
    if not config and gpus & (gpus - 1):
        yield fleet.document.warning(
            key,
            f"is {gpus}: vLLM needs attention heads and KV heads that it divides evenly, and most "
            "models have 2, 4 or 8 KV heads.",
            f"Write {1 << gpus.bit_length() - 1}, or compare config.json of the weights.",
        )


def _even(config: dict[str, object], gpus: int) -> int:
    """Return the next smaller number of GPUs that the heads can be shared out among."""
    fewer = range(min(gpus, MOST), 0, -1)
    return next(each for each in fewer if not [*model_config.indivisible_heads(config, each)])


def _window(fleet: Fleet, model: VllmModel, config: dict[str, object]) -> Iterator[Problem]:
    trained = model_config.largest_window(config)
    if not trained or model.context <= trained:
        return
    if not model_config.allows_longer_window(model.arguments, model.environment):
        yield fleet.document.problem(
            ("models", model.name, "context"),
            f"is {model.context}, and config.json of the weights allows {trained}: vLLM would not "
            "start.",
            f"Write {trained} or less; for a longer one, the hf-overrides of the model's card "
            "under 'arguments'.",
        )
