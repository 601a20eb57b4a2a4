"""The options of Ollama servers: contradictions, directories and GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.ollama import OllamaModel, OllamaServer
from mirrorfleet.config.problems import Problem
from mirrorfleet.config.sandbox import HOMES, TEMPORARY, hidden
from mirrorfleet.engines.ollama import servers
from mirrorfleet.engines.placement import by_host, free, models_of

LONGEST_WAIT = 1800
"""Seconds. The wait holds the lock of the host, for which another run waits one hour."""

UNREACHABLE = (*HOMES, *TEMPORARY, "/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/usr")
"""Directories that the service cannot see or cannot write to."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, OllamaModel):
        yield from _directory(fleet, model)
    reported = set()
    for name, models in by_host(fleet, OllamaModel).items():
        for model, option, other in servers.conflicts(models):
            if (model.name, option) not in reported:
                reported.add((model.name, option))
                yield fleet.document.problem(
                    ("models", model.name, option),
                    f"differs from '{other.name}', but both models use the one Ollama of {name}.",
                    "Write the same value for both, or set it for one of them.",
                )
        server = servers.server(models)
        yield from _cache_type(fleet, models, server)
        if servers.seconds(server.restart_wait) > LONGEST_WAIT:
            yield fleet.document.problem(
                servers.key(models, "restart_wait"),
                f"is {server.restart_wait}, but the maximum is 30m: no other run can change the "
                "host meanwhile.",
                "Write 30m or less.",
            )
        if name in fleet.hosts:
            yield from _gpus(fleet, fleet.hosts[name], models, server)


def _directory(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    """Yield a problem if the service cannot write to the directory for models."""
    directory = model.server.get("models_directory", "")
    if ".." in directory.split("/") or hidden(directory, UNREACHABLE):
        yield fleet.document.problem(
            ("models", model.name, "models_directory"),
            f"is {directory}, where the service cannot write.",
            "Choose another directory, for example /srv/ollama/models.",
        )


def _cache_type(fleet: Fleet, models: list[OllamaModel], server: OllamaServer) -> Iterator[Problem]:
    if server.kv_cache_type not in (None, "f16") and server.flash_attention is False:
        yield fleet.document.problem(
            servers.key(models, "kv_cache_type"),
            f"is {server.kv_cache_type}, which needs flash attention, but it is disabled.",
            "Remove flash_attention: false.",
        )


def _gpus(
    fleet: Fleet, host: Host, models: list[OllamaModel], server: OllamaServer
) -> Iterator[Problem]:
    if server.devices is None:
        if host.gpus and not free(fleet, host):
            yield fleet.document.problem(
                ("models", models[0].name, "hosts"),
                f"has no GPU on {host.name}: all {host.gpus} are assigned to other models.",
                "Choose another host, assign fewer GPUs to the other models, or write devices: [] "
                "to use the CPU.",
            )
        return
    numbers = [device for device in server.devices if isinstance(device, int)]
    if absent := [device for device in numbers if device >= host.gpus]:
        yield fleet.document.problem(
            servers.key(models, "devices"),
            f"GPU {absent[0]} does not exist: {host.name} has {host.gpus}, counted from 0.",
            f"Correct hosts.{host.name}.gpus.count, or choose another GPU.",
        )
    elif len(server.devices) > host.gpus:
        yield fleet.document.problem(
            servers.key(models, "devices"),
            f"has {len(server.devices)} GPUs, but {host.name} has {host.gpus}.",
            f"Correct hosts.{host.name}.gpus.count, or write fewer GPUs.",
        )
