"""Unpinned weights, and weights whose config.json conflicts with keys of the model."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.vllm import model_config

MOST = 1024
"""Most GPUs to consider for tensor parallelism."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        yield from _revision(fleet, model)
        config = model_config.read(model_config.read_on_controller(model.weights))
        yield from _split(fleet, model, config)
        yield from _window(fleet, model, config)


def _revision(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    has_revision = fleet.document.says("models", model.name, "revision")
    if model.weights.kind == "hub" and not has_revision:
        yield fleet.document.problem(
            (*key, "weights"),
            "a repository needs a 'revision'.",
            "Add revision: COMMIT, with all 40 digits. A branch could change later.",
        )
    if model.weights.kind != "hub" and has_revision:
        yield fleet.document.problem(
            (*key, "revision"),
            "does not apply to weights in a directory.",
            "Remove it.",
        )


def _split(fleet: Fleet, model: VllmModel, config: dict[str, object]) -> Iterator[Problem]:
    """Yield a problem if tensor_parallel does not divide the numbers of heads evenly.

    Without a config.json, warn if it does not divide those of most models.
    """
    key: Key = ("models", model.name, "tensor_parallel")
    gpus = model.tensor_parallel
    for count, kind in model_config.indivisible_heads(config, gpus):
        report = fleet.document.problem if kind == "attention heads" else fleet.document.warning
        yield report(
            key,
            f"is {gpus}, which does not divide the {count} {kind} of the model evenly.",
            f"Write {_even(config, gpus)}.",
        )
        return
    if not config and gpus & (gpus - 1):
        yield fleet.document.warning(
            key,
            f"is {gpus}, but it must divide the numbers of attention heads and KV heads evenly: "
            "most models have 2, 4 or 8 KV heads.",
            f"Write {1 << gpus.bit_length() - 1}, or check config.json of the weights.",
        )


def _even(config: dict[str, object], gpus: int) -> int:
    """Return the largest number of GPUs, up to ``gpus``, that divides the heads evenly."""
    fewer = range(min(gpus, MOST), 0, -1)
    return next(count for count in fewer if not [*model_config.indivisible_heads(config, count)])


def _window(fleet: Fleet, model: VllmModel, config: dict[str, object]) -> Iterator[Problem]:
    largest = model_config.largest_window(config)
    if not largest or model.context <= largest:
        return
    if not model_config.allows_longer_window(model.arguments, model.environment):
        yield fleet.document.problem(
            ("models", model.name, "context"),
            f"is {model.context}, but config.json of the weights allows {largest}: vLLM would not "
            "start.",
            f"Write {largest} or less, or add hf-overrides from the model card to 'arguments'.",
        )
