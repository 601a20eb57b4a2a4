"""The one Ollama server of a host. Each of its models can set the server's options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from packaging.version import Version

from mirrorfleet.config.ollama import OllamaModel, OllamaServer, Release
from mirrorfleet.config.ollama import server as with_defaults
from mirrorfleet.data import table


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


def version(server: OllamaServer) -> str:
    """Return the version of the server; if unset, the newest one in data/ollama.yml."""
    return server.version or max(table("ollama")["releases"], key=Version)


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
            archives[architecture] = release if is_complete else Release(release.sha256, url)
        elif architecture in digests:
            archives[architecture] = Release(digests[architecture], url)
    return archives
