"""Models that Ollama serves on hosts of the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mirrorfleet.config.engine_model import EngineModel
from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Release:
    """An archive of Ollama: at a URL or a file of the controller, or where the project has it."""

    sha256: str
    url: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class OllamaServer:
    """The one server of a host; ``None`` leaves it to Ollama, or to what else is known."""

    version: str | None = None
    release: Release | None = None
    port: int = 11434
    keep_alive: str = "5m"
    parallel: int = 1
    max_loaded_models: int | None = None
    max_queue: int | None = None
    kv_cache_type: str | None = None
    flash_attention: bool | None = None
    models_directory: str = "/var/lib/mirrorfleet/ollama/models"


@dataclass(frozen=True, kw_only=True)
class OllamaModel(EngineModel):
    """A model under a name of the fleet: made from a ``tag``, or as a ``modelfile`` says.

    ``server`` is what this model says of the server of its hosts, by the names of
    ``OllamaServer``; the models of one host say it together.
    """

    engine: ClassVar[str] = "ollama"

    tag: str | None
    modelfile: str | None
    digest: str | None
    server: Mapping[str, Any] = field(default_factory=dict)


def ollama(said: Section, hosts: Mapping[str, Host]) -> OllamaModel:
    is_tag = isinstance(said["weights"], str)
    return OllamaModel(
        name=said.name,
        tag=said["weights"] if is_tag else None,
        modelfile=None if is_tag else str(said.section("weights").path("modelfile")),
        digest=said.get("digest"),
        hosts=chosen(said, hosts),
        context=said["context"],
        output=said["output"],
        server={
            name: _option(said, name) for name in OllamaServer.__dataclass_fields__ if name in said
        },
    )


def _option(said: Section, name: str) -> Any:
    if name == "release":
        release = said.section("release")
        file = release.path("file")
        return Release(release["sha256"], release.get("url"), str(file) if file else None)
    return str(said[name]) if name == "keep_alive" else said[name]
