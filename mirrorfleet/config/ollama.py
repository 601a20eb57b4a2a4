"""Models that Ollama serves, on hosts of the fleet or where it already runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from mirrorfleet.config.abilities import ability_keys
from mirrorfleet.config.advisories import GO, Package
from mirrorfleet.config.engine_model import Device, EngineModel
from mirrorfleet.config.hosts import Host, chosen
from mirrorfleet.config.reader import Section
from mirrorfleet.config.running import common
from mirrorfleet.config.schema import definition, keys

PACKAGE = Package(GO, "github.com/ollama/ollama")
"""What advisories call it."""


@dataclass(frozen=True)
class Release:
    """An archive of Ollama by its sha256, at a URL or in a file of the controller.

    With neither, it comes from the project's own releases. ``also`` are further archives of the
    same release, which are unpacked over it.
    """

    sha256: str
    url: str | None = None
    file: str | None = None
    also: tuple[Release, ...] = ()


@dataclass(frozen=True)
class OllamaServer:
    """The one Ollama of a host. ``None`` stands for Ollama's own default or a derived value.

    ``devices``: indices or UUIDs of GPUs. ``restart_wait``: how long a restart waits for turns.
    """

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
    devices: tuple[int | str, ...] | None
    restart_wait: str


OPTIONS = tuple(each.name for each in fields(OllamaServer))


def server(options: Mapping[str, Any]) -> OllamaServer:
    """Return a server with these options, and the schema's defaults for the others."""
    known = keys(definition("ollamaModel"), {})
    return OllamaServer(**{name: options.get(name, known[name].get("default")) for name in OPTIONS})


@dataclass(frozen=True, kw_only=True)
class OllamaModel(EngineModel):
    """A model under a name of the fleet, from a registry's ``tag`` or a ``modelfile``.

    ``store`` is a directory of the controller that has the ``tag``; its only one, if that is
    ``None``. ``server`` has the server options that the file writes at this model. The options of
    all models of a host together configure its server.
    """

    engine: ClassVar[str] = "ollama"

    tag: str | None
    modelfile: str | None
    store: str | None
    digest: str | None
    plain_http: bool
    server: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shared_devices(self) -> tuple[Device, ...]:
        return tuple(self.server.get("devices") or ())

    @property
    def takes_free_gpus(self) -> bool:
        return "devices" not in self.server


@dataclass(frozen=True, kw_only=True)
class RunningOllamaModel(EngineModel):
    """A model of an Ollama that already runs."""

    engine: ClassVar[str] = "ollama"


def running_ollama(section: Section) -> RunningOllamaModel:
    """Read one of ``models`` with ``engine: ollama`` and ``url``."""
    return RunningOllamaModel(**common(section))


def ollama(section: Section, hosts: Mapping[str, Host]) -> OllamaModel:
    """Read one of ``models`` with ``engine: ollama`` and ``hosts``."""
    tag, modelfile, store = section["weights"], None, None
    if not isinstance(tag, str):
        weights = section.mapping("weights")
        tag, modelfile, store = (
            weights.get("tag"),
            *(str(path) if path else None for path in map(weights.path, ("modelfile", "push"))),
        )
    return OllamaModel(
        name=section.name,
        tag=tag,
        modelfile=modelfile,
        store=store,
        digest=section.get("digest"),
        plain_http=section["plain_http"],
        hosts=chosen(section, hosts),
        context=section["context"],
        output=section["output"],
        own_abilities=ability_keys(section),
        server={name: _option(section, name) for name in OPTIONS if name in section},
    )


def _option(section: Section, name: str) -> Any:
    if name == "release":
        return _release(section.mapping("release"))
    if name == "devices":
        return tuple(section[name])
    return str(section[name]) if name == "keep_alive" else section[name]


def _release(section: Section) -> Release:
    file = section.path("file")
    also = []
    for at, archive in enumerate(section.get("also") or ()):
        name = archive.get("file")
        start = section.document.directory((*section.key, "also", at, "file"))
        path = str((start / Path(name).expanduser()).resolve()) if name else None
        also.append(Release(archive["sha256"], archive.get("url"), path))
    return Release(section["sha256"], section.get("url"), str(file) if file else None, tuple(also))
