"""The Ollama of a host: one server, of which each of its models may say something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from packaging.version import Version

from mirrorfleet.config import Fleet, Host, OllamaModel, OllamaServer, Release
from mirrorfleet.config.ollama import server as with_defaults
from mirrorfleet.data import table
from mirrorfleet.engines.gpus import assign, placed


class Conflict(NamedTuple):
    """``model`` says another ``option`` of the server than ``other`` before it."""

    model: OllamaModel
    option: str
    other: OllamaModel


def served(fleet: Fleet) -> dict[str, list[OllamaModel]]:
    """Return the models that Ollama serves, by host, in the order of the fleet file."""
    hosts: dict[str, list[OllamaModel]] = {}
    for model in fleet.models.values():
        if isinstance(model, OllamaModel):
            for host in model.hosts:
                hosts.setdefault(host, []).append(model)
    return hosts


def server(models: Iterable[OllamaModel]) -> OllamaServer:
    """Return what the models of a host say together: of each option, the first word counts."""
    said: dict[str, Any] = {}
    for model in models:
        said = {**model.server, **said}
    return with_defaults(said)


def conflicts(models: Iterable[OllamaModel]) -> Iterator[Conflict]:
    """Yield where a model contradicts one before it."""
    first: dict[str, OllamaModel] = {}
    for model in models:
        for option, value in model.server.items():
            other = first.setdefault(option, model)
            if other.server[option] != value:
                yield Conflict(model, option, other)


def version(server: OllamaServer) -> str:
    """Return the release that is said, or the newest whose archives are known."""
    return server.version or max(table("ollama")["releases"], key=Version)


def releases(server: OllamaServer) -> dict[str, Release]:
    """Return the archive for each architecture that has one; its URL or file is filled in."""
    known = table("ollama")
    wanted, said = version(server), server.release
    digests = known["releases"].get(wanted, {})
    found = {}
    for architecture, archive in known["archives"].items():
        url = known["url"].format(version=wanted, archive=archive)
        if said:
            found[architecture] = said if said.url or said.file else Release(said.sha256, url)
        elif architecture in digests:
            found[architecture] = Release(digests[architecture], url)
    return found


def devices(fleet: Fleet, host: Host) -> tuple[int, ...]:
    """Return the GPUs of a host that no model of vLLM has."""
    engines = placed(fleet).get(host.name, [])
    taken = {at for share in assign(engines, host.gpus) for at in share.devices}
    return tuple(at for at in range(host.gpus) if at not in taken)
