"""Ollama servers that would not serve what the fleet file promises."""

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
"""The first release that speaks /v1/messages, which gateways pass through untranslated."""

UNREACHABLE = (*HOMES, *TEMPORARY, "/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/usr")
"""What the service sees nothing of, or cannot write to, wherever its models are to be."""


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
                    f"is not what '{other.name}' says, and both are on host '{name}'.",
                    "A host has one Ollama: say it in one of the two, or alike.",
                )
        yield from _server(fleet, models)
        yield from _weights_shared(fleet, name, models)
        if name in fleet.hosts:
            yield from _gpus(fleet, fleet.hosts[name], models[0])


def _weights(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    key: Key = ("models", model.name, "weights")
    tag = model.tag
    if model.modelfile is not None:
        try:
            tag = modelfile.read(model.modelfile).get("from")
        except modelfile.NotUsable as error:
            said = fleet.document.data["models"][model.name]["weights"]["modelfile"]
            yield fleet.document.problem(
                (*key, "modelfile"), f"'{said}': {error.mistake}", error.remedy
            )
            return
    if tag is None:
        if model.digest:
            yield fleet.document.problem(
                ("models", model.name, "digest"),
                "says nothing about a model that is made from a file: there is no tag that moves.",
                "Remove it.",
            )
        return
    name, _, kind = tag.partition(":")
    if kind == "cloud" or kind.endswith("-cloud"):
        yield fleet.document.problem(
            key,
            f"'{tag}' is computed in Ollama's cloud, and not on your host.",
            "Choose a tag without 'cloud', or make it a model of a provider.",
        )
    elif kind in ("", "latest") and isinstance(fleet.models.get(name), OllamaModel):
        yield fleet.document.problem(
            key,
            f"'{tag}' is the name under which Ollama serves '{name}' of this file.",
            "Name a tag other than 'latest', or the model otherwise.",
        )


def _release(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    """What one model says of the release; what it lacks another may say."""
    key: Key = ("models", model.name)
    release, version = model.server.get("release"), model.server.get("version")
    if release and release.url and release.file:
        yield fleet.document.problem(
            (*key, "release"), "says both 'url' and 'file'.", "Keep one of the two."
        )
    if version:
        yield from advisories.problems(
            fleet, (*key, "version"), "ollama", version, table("ollama")["advisories"]
        )
        if Version(version) < Version(MESSAGES_SINCE):
            yield fleet.document.problem(
                (*key, "version"),
                f"is {version}, which does not speak /v1/messages, Claude Code's language.",
                f"Ollama does since {MESSAGES_SINCE}.",
            )


def _directory(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    directory = model.server.get("models_directory", "")
    if ".." in directory.split("/") or hidden(directory, UNREACHABLE):
        yield fleet.document.problem(
            ("models", model.name, "models_directory"),
            f"is {directory}, where the service cannot write.",
            "Choose a directory of its own, for example /srv/ollama/models.",
        )


def _server(fleet: Fleet, models: list[OllamaModel]) -> Iterator[Problem]:
    """What the models of a host say together, told at the one that says it."""
    server = servers.server(models)
    version = servers.version(server)
    if not server.release and version not in table("ollama")["releases"]:
        yield fleet.document.problem(
            _key(models, "version"),
            f"is {version}, whose sha256 is not known here, and no 'release' says it.",
            "Add release: {sha256: …}, from the release's sha256sum.txt.",
        )
    if server.release and not server.version:
        yield fleet.document.problem(
            _key(models, "release"), "is said without its 'version'.", "Add the version."
        )
    yield from _cache_type(fleet, models, server)


def _cache_type(fleet: Fleet, models: list[OllamaModel], server: OllamaServer) -> Iterator[Problem]:
    if server.kv_cache_type not in (None, "f16") and server.flash_attention is False:
        yield fleet.document.problem(
            _key(models, "kv_cache_type"),
            f"is {server.kv_cache_type}, which needs flash attention, and that is switched off.",
            "Remove flash_attention: false.",
        )


def _key(models: list[OllamaModel], option: str) -> Key:
    said = next((model for model in models if option in model.server), models[0])
    return ("models", said.name, option)


def _gpus(fleet: Fleet, host: Host, model: OllamaModel) -> Iterator[Problem]:
    if host.gpus and not free(fleet, host):
        yield fleet.document.problem(
            ("models", model.name, "hosts"),
            f"has no GPU on host '{host.name}': other models have all {host.gpus}.",
            "Choose another host, or give the others fewer GPUs.",
        )


def _weights_shared(fleet: Fleet, host: str, models: list[OllamaModel]) -> Iterator[Problem]:
    """Ollama holds weights once in memory: with another window it loads them anew."""
    first: dict[str, OllamaModel] = {}
    for model in models:
        if model.tag is None:
            continue
        other = first.setdefault(model.tag, model)
        if other.context != model.context:
            yield fleet.document.warning(
                ("models", model.name, "context"),
                f"is not that of '{other.name}', which has the same weights on host "
                f"'{host}': Ollama loads them anew whenever the other one is asked.",
                f"Write context: {other.context}.",
            )
