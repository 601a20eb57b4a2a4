"""Models that Ollama serves, on hosts of the fleet or where it already runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from mirrorfleet.config.abilities import ability_keys
from mirrorfleet.config.engine_model import EngineModel
from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Section
from mirrorfleet.config.running import common
from mirrorfleet.config.schema import definition, keys


@dataclass(frozen=True)
class Release:
    """An archive of Ollama by its sha256, at a URL or in a file of the controller.

    With neither, it comes from the project's own releases.
    """

    sha256: str
    url: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class OllamaServer:
    """The one Ollama of a host. ``None`` stands for Ollama's own default or a derived value."""

    version: str | None
    release: Release | None
    port: int
    keep_alive: str
    parallel: int
    max_loaded_models: int | None
    max_queue: int | None
    kv_cache_type: str | None
    flash_attention: bool | None
    models_directory: str


OPTIONS = tuple(each.name for each in fields(OllamaServer))


def server(options: Mapping[str, Any]) -> OllamaServer:
    """Return a server with these options, and the schema's defaults for the others."""
    known = keys(definition("ollamaModel"), {})
    return OllamaServer(**{name: options.get(name, known[name].get("default")) for name in OPTIONS})


@dataclass(frozen=True, kw_only=True)
class OllamaModel(EngineModel):
    """A model under a name of the fleet, from a registry's ``tag`` or a ``modelfile``.

    ``server`` has the server options that the file writes at this model. The options of all
    models of a host together configure its server.
    """

    engine: ClassVar[str] = "ollama"

    tag: str | None
    modelfile: str | None
    digest: str | None
    server: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunningOllamaModel(EngineModel):
    """A model of an Ollama that already runs."""

    engine: ClassVar[str] = "ollama"


def running_ollama(section: Section) -> RunningOllamaModel:
    """Read one of ``models`` with ``engine: ollama`` and ``url``."""
    return RunningOllamaModel(**common(section))


def ollama(section: Section, hosts: Mapping[str, Host]) -> OllamaModel:
    """Read one of ``models`` with ``engine: ollama`` and ``hosts``."""
    is_tag = isinstance(section["weights"], str)
    return OllamaModel(
        name=section.name,
        tag=section["weights"] if is_tag else None,
        modelfile=None if is_tag else str(section.mapping("weights").path("modelfile")),
        digest=section.get("digest"),
        hosts=chosen(section, hosts),
        context=section["context"],
        output=section["output"],
        own_abilities=ability_keys(section),
        server={name: _option(section, name) for name in OPTIONS if name in section},
    )


def _option(section: Section, name: str) -> Any:
    if name == "release":
        release = section.mapping("release")
        file = release.path("file")
        return Release(release["sha256"], release.get("url"), str(file) if file else None)
    return str(section[name]) if name == "keep_alive" else section[name]
