"""Options of vLLM: unknown or derived ones, vulnerable releases, and wrong numbers of GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.checks.vllm.known_names import known_names
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.config.vllm import PACKAGE, VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.placement import models_of

SPLIT = ("tensor_parallel", "pipeline_parallel", "data_parallel", "nodes")
"""Keys that decide how many GPUs of a host a model uses."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        key = ("models", model.name, "version")
        yield from advisories.problems(fleet, key, PACKAGE, model.version)
        yield from _arguments(fleet, model)
        yield from _parallel(fleet, model)
        yield from _concurrency(fleet, model)


def _arguments(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    """Yield a problem for each option that is derived, or that vLLM does not have."""
    derived = table("vllm_arguments")["derived"]
    known = known_names(fleet, model, "arguments")
    for name in model.arguments:
        key: Key = ("models", model.name, "arguments", name)
        if name in derived:
            yield fleet.document.problem(key, "cannot be set here.", derived[name])
        elif name == "convert" and not model.task:
            yield fleet.document.problem(
                key,
                "is for models of embeddings or scores, but this one generates text.",
                "Remove it, or write task: embed.",
                given=(("models", model.name, "task"),),
            )
        elif known and name not in known and name.removeprefix("no-") not in known:
            yield fleet.document.problem(
                key,
                f"is not an option of vLLM {model.version}.",
                did_you_mean(name, known - derived.keys()),
            )


def _parallel(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    if model.build == "cpu":
        for name in ("tensor_parallel", "pipeline_parallel", "data_parallel", "devices"):
            if fleet.document.says("models", model.name, name):
                yield fleet.document.problem(
                    (*key, name), "needs GPUs, but the build is cpu.", "Remove it."
                )
    elif model.devices is not None and len(model.devices) != model.gpus:
        yield fleet.document.problem(
            (*key, "devices"),
            f"the number of GPUs is {len(model.devices)}, but the model needs {model.gpus}: "
            "tensor_parallel x pipeline_parallel x data_parallel"
            f"{' / nodes' if model.nodes > 1 else ''}.",
            "Correct the list, or change these keys.",
            given=tuple((*key, name) for name in SPLIT),
        )


def _concurrency(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    """Yield a problem if ``concurrency`` exceeds ``max_num_seqs``."""
    requested, most = model.concurrency, model.max_num_seqs
    if requested and most and requested > most:
        yield fleet.document.problem(
            ("models", model.name, "concurrency"),
            f"is {requested}, but max_num_seqs limits concurrent requests to {most}.",
            f"Write max_num_seqs: {requested}, or decrease concurrency to {most} or less.",
        )
