"""Engines that the hosts they are put on cannot run."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.config import Fleet, Host, VllmModel
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.data import table
from mirrorfleet.engines.gpus import assign, placed

SPLIT = ("tensor_parallel", "pipeline_parallel", "data_parallel", "nodes")
"""What says over how many GPUs of a host a model is split."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if isinstance(model, VllmModel):
            yield from advisories.problems(
                fleet, ("models", model.name, "version"), "vllm", model.version
            )
            yield from _arguments(fleet, model)
            yield from _parallel(fleet, model)
            yield from _concurrency(fleet, model)
    for name, models in placed(fleet).items():
        host = fleet.hosts.get(name)
        if host and (host.gpus or not fleet.document.says("hosts", name, "gpus")):
            yield from _gpus(fleet, host, models)


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


def _gpus(fleet: Fleet, host: Host, models: list[VllmModel]) -> Iterator[Problem]:
    """GPUs that the host does not have, or that two models want."""
    for model, devices, holders in assign(models, host.gpus):
        key: Key = ("models", model.name, "devices" if model.devices else "tensor_parallel")
        absent = [device for device in model.devices or () if device >= host.gpus]
        if absent or (host.gpus < model.gpus):
            what = f"names GPU {absent[0]}" if absent else f"wants {model.gpus} GPUs"
            yield fleet.document.problem(
                key,
                f"{what}, and host '{host.name}' has {host.gpus}.",
                f"Correct hosts.{host.name}.gpus or choose another host.",
            )
        elif holders:
            yield fleet.document.problem(
                key,
                f"wants GPU {holders[0].device} of host '{host.name}', which "
                f"'{holders[0].model}' has.",
                "Give each model GPUs of its own.",
            )
        elif model.devices is None and len(devices) < model.gpus:
            yield fleet.document.problem(
                key,
                f"wants {model.gpus} GPUs, and the other models leave {len(devices)} of the "
                f"{host.gpus} on host '{host.name}'.",
                "Choose another host, or split it over fewer.",
            )
