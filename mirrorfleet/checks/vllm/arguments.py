"""Options of vLLM and releases of it that cannot be, and models split over the wrong GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.placement import models_of

SPLIT = ("tensor_parallel", "pipeline_parallel", "data_parallel", "nodes")
"""What says over how many GPUs of a host a model is split."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        key = ("models", model.name, "version")
        yield from advisories.problems(fleet, key, "vllm", model.version)
        yield from _arguments(fleet, model)
        yield from _parallel(fleet, model)
        yield from _concurrency(fleet, model)


def _arguments(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    """Options of vLLM that are ours to set, or that no vLLM has."""
    ours, known = table("vllm_arguments")["ours"], table("vllm_arguments")["known"]
    for name in model.arguments:
        key: Key = ("models", model.name, "arguments", name)
        if name in ours:
            yield fleet.document.problem(key, "is derived, never said here.", ours[name])
        elif name not in known and name.removeprefix("no-") not in known:
            yield fleet.document.problem(
                key, "is no option of vllm serve.", did_you_mean(name, known)
            )


def _parallel(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    if model.build == "cpu":
        for name in ("tensor_parallel", "pipeline_parallel", "data_parallel", "devices"):
            if fleet.document.says("models", model.name, name):
                yield fleet.document.problem(
                    (*key, name), "needs GPUs, and the build is cpu.", "Remove it."
                )
    elif model.devices is not None and len(model.devices) != model.gpus:
        yield fleet.document.problem(
            (*key, "devices"),
            f"names {len(model.devices)} GPUs, and the model is split over {model.gpus}.",
            "The number of GPUs is tensor_parallel x pipeline_parallel x data_parallel"
            f"{' / nodes' if model.nodes > 1 else ''}.",
            given=tuple((*key, each) for each in SPLIT),
        )


def _concurrency(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    """More requests than are worked on at the same time never need room together."""
    wanted, most = model.concurrency, model.max_num_seqs
    if wanted and most and wanted > most:
        yield fleet.document.problem(
            ("models", model.name, "concurrency"),
            f"is {wanted}, and no more than max_num_seqs, {most}, are worked on at the same time.",
            f"Write max_num_seqs: {wanted}, or a concurrency of {most} or less.",
        )
