"""The one Ollama server of a host. Each of its models can set the server's options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.ollama import OllamaModel, OllamaServer, Release
from mirrorfleet.config.ollama import server as with_defaults
from mirrorfleet.config.problems import Key
from mirrorfleet.data import proposed, table
from mirrorfleet.engines.placement import free


class Conflict(NamedTuple):
    """``model`` sets ``option`` of the server to another value than ``other`` before it."""

    model: OllamaModel
    option: str
    other: OllamaModel


def server(models: Iterable[OllamaModel]) -> OllamaServer:
    """Return the server of a host: of each option, the value of the first model that sets it."""
    options: dict[str, Any] = {}
    for model in models:
        options = {**model.server, **options}
    return with_defaults(options)


def conflicts(models: Iterable[OllamaModel]) -> Iterator[Conflict]:
    """Yield the options that two models of a host set to different values."""
    first: dict[str, OllamaModel] = {}
    for model in models:
        for option, value in model.server.items():
            other = first.setdefault(option, model)
            if other.server[option] != value:
                yield Conflict(model, option, other)


def key(models: Iterable[OllamaModel], option: str) -> Key:
    """Return the key of an option: at the model that sets it, else at the first one."""
    models = list(models)
    model = next((model for model in models if option in model.server), models[0])
    return ("models", model.name, option)


def version(server: OllamaServer) -> str:
    """Return the version of the server; if unset, the one that Mirrorfleet proposes."""
    return server.version or proposed("ollama")


UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(duration: str) -> int:
    """Return the seconds of a number with s, m or h; of "0" too."""
    return int(duration.rstrip("smh")) * UNITS.get(duration[-1], 1)


def devices(fleet: Fleet, host: Host, server: OllamaServer) -> tuple[int | str, ...]:
    """Return the GPUs of the server on a host: its own, or those that no other model has."""
    return free(fleet, host) if server.devices is None else server.devices


def releases(server: OllamaServer) -> dict[str, Release]:
    """Return the archives by architecture (``uname -m``), each with its URL or file."""
    known = table("ollama")
    number, release = version(server), server.release
    digests = known["releases"].get(number, {})
    archives = {}
    for architecture, archive in known["archives"].items():
        url = known["url"].format(version=number, archive=archive)
        if release:
            is_complete = release.url or release.file
            archives[architecture] = release if is_complete else replace(release, url=url)
        elif architecture in digests:
            archives[architecture] = Release(digests[architecture], url)
    return archives
