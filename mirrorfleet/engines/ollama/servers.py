"""The one Ollama server of a host, which each of its models may configure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from packaging.version import Version

from mirrorfleet.config.ollama import OllamaModel, OllamaServer, Release
from mirrorfleet.config.ollama import server as with_defaults
from mirrorfleet.data import table


class Conflict(NamedTuple):
    """``model`` says another ``option`` of the server than ``other`` before it."""

    model: OllamaModel
    option: str
    other: OllamaModel


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
