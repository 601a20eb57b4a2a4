"""Problems of Ollama servers and their models."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from mirrorfleet.checks import advisories
from mirrorfleet.config import Fleet, Host, modelfile
from mirrorfleet.config.ollama import OllamaModel, OllamaServer
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.sandbox import HOMES, TEMPORARY, hidden
from mirrorfleet.data import table
from mirrorfleet.engines.ollama import servers
from mirrorfleet.engines.placement import by_host, free, models_of

MESSAGES_SINCE = "0.14.0"
"""The first release with /v1/messages, which gateways pass through untranslated."""

UNREACHABLE = (*HOMES, *TEMPORARY, "/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/usr")
"""Directories that the service cannot see or cannot write to."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, OllamaModel):
        yield from _weights(fleet, model)
        yield from _release(fleet, model)
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
        yield from _server(fleet, models)
        yield from _shared_weights(fleet, name, models)
        if name in fleet.hosts:
            yield from _gpus(fleet, fleet.hosts[name], models[0])


def _weights(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    key: Key = ("models", model.name, "weights")
    tag = model.tag
    if model.modelfile is not None:
        try:
            tag = modelfile.read(model.modelfile).get("from")
        except modelfile.NotUsable as error:
            name = fleet.document.data["models"][model.name]["weights"]["modelfile"]
            yield fleet.document.problem(
                (*key, "modelfile"), f"'{name}': {error.mistake}", error.remedy
            )
            return
    if tag is None:
        if model.digest:
            yield fleet.document.problem(
                ("models", model.name, "digest"),
                "applies only to a tag: this model is created from a file.",
                "Remove it.",
            )
        return
    name, _, kind = tag.partition(":")
    if kind == "cloud" or kind.endswith("-cloud"):
        yield fleet.document.problem(
            key,
            f"'{tag}' runs in Ollama's cloud, not on your host.",
            "Choose a tag without 'cloud'.",
        )
    elif kind in ("", "latest") and isinstance(fleet.models.get(name), OllamaModel):
        yield fleet.document.problem(
            key,
            f"'{tag}' would be overwritten: Ollama stores the model '{name}' of this file under "
            "that tag.",
            "Choose a tag other than 'latest', or rename the model.",
        )


def _release(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    """Yield problems of the release that one model of the server sets."""
    key: Key = ("models", model.name)
    release, version = model.server.get("release"), model.server.get("version")
    if release and release.url and release.file:
        yield fleet.document.problem(
            (*key, "release"), "has both 'url' and 'file'.", "Remove one of the two."
        )
    if version:
        yield from advisories.problems(
            fleet, (*key, "version"), "ollama", version, table("ollama")["advisories"]
        )
        if Version(version) < Version(MESSAGES_SINCE):
            yield fleet.document.problem(
                (*key, "version"),
                f"is {version}, which does not support /v1/messages, the API of Claude Code.",
                f"Write {MESSAGES_SINCE} or newer.",
            )


def _directory(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    """Yield a problem if the service cannot write to the directory for models."""
    directory = model.server.get("models_directory", "")
    if ".." in directory.split("/") or hidden(directory, UNREACHABLE):
        yield fleet.document.problem(
            ("models", model.name, "models_directory"),
            f"is {directory}, where the service cannot write.",
            "Choose another directory, for example /srv/ollama/models.",
        )


def _server(fleet: Fleet, models: list[OllamaModel]) -> Iterator[Problem]:
    """Yield problems of the options of a host's server, at the model that sets each option."""
    server = servers.server(models)
    version = servers.version(server)
    if not server.release and version not in table("ollama")["releases"]:
        yield fleet.document.problem(
            _key(models, "version"),
            f"is {version}, whose SHA-256 checksum is not known here.",
            "Add release: {sha256: …}, from sha256sum.txt of the release.",
        )
    if server.release and not server.version:
        yield fleet.document.problem(
            _key(models, "release"),
            "needs a 'version'.",
            "Add 'version', the version of this release.",
        )
    yield from _cache_type(fleet, models, server)


def _cache_type(fleet: Fleet, models: list[OllamaModel], server: OllamaServer) -> Iterator[Problem]:
    if server.kv_cache_type not in (None, "f16") and server.flash_attention is False:
        yield fleet.document.problem(
            _key(models, "kv_cache_type"),
            f"is {server.kv_cache_type}, which needs flash attention, but it is disabled.",
            "Remove flash_attention: false.",
        )


def _key(models: list[OllamaModel], option: str) -> Key:
    model = next((model for model in models if option in model.server), models[0])
    return ("models", model.name, option)


def _gpus(fleet: Fleet, host: Host, model: OllamaModel) -> Iterator[Problem]:
    if host.gpus and not free(fleet, host):
        yield fleet.document.problem(
            ("models", model.name, "hosts"),
            f"has no GPU on {host.name}: all {host.gpus} are assigned to other models.",
            "Choose another host, or assign fewer GPUs to the other models.",
        )


def _shared_weights(fleet: Fleet, host: str, models: list[OllamaModel]) -> Iterator[Problem]:
    """Yield a warning for models with the same weights and different context windows.

    Ollama keeps weights in memory once, and reloads them for another context window.
    """
    first: dict[str, OllamaModel] = {}
    for model in models:
        if model.tag is None:
            continue
        other = first.setdefault(model.tag, model)
        if other.context != model.context:
            yield fleet.document.warning(
                ("models", model.name, "context"),
                f"is {model.context}, but '{other.name}' has the same weights on {host} with "
                f"{other.context}: Ollama reloads them whenever the requested model changes.",
                f"Write context: {other.context}.",
            )
