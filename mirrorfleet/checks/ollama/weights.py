"""Weights of models on Ollama: tags, Modelfiles and uploaded stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mirrorfleet.config import Fleet, modelfile, ollama_store
from mirrorfleet.config.ollama import OllamaModel
from mirrorfleet.config.ollama_names import NotAName, parse
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.placement import by_host, models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, OllamaModel):
        yield from _weights(fleet, model)
    for name, models in by_host(fleet, OllamaModel).items():
        yield from _shared_weights(fleet, name, models)


def _weights(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    key: Key = ("models", model.name, "weights")
    tag = model.tag
    weights = fleet.document.data["models"][model.name]["weights"]
    if isinstance(weights, dict) and len(weights.keys() & {"modelfile", "push"}) != 1:
        yield fleet.document.problem(
            key,
            "needs exactly one of 'modelfile' and 'push'.",
            "Write {modelfile: FILE}, or {push: DIRECTORY, tag: TAG}.",
        )
        return
    if model.modelfile and tag:
        yield fleet.document.problem(
            (*key, "tag"),
            "applies only to 'push'.",
            "Remove it: FROM in the Modelfile has the tag.",
        )
        tag = None
    if model.modelfile is not None:
        try:
            tag = modelfile.read(model.modelfile).get("from")
        except modelfile.NotUsable as error:
            name = weights["modelfile"]
            yield fleet.document.problem(
                (*key, "modelfile"), f"'{name}': {error.mistake}", error.remedy
            )
            return
    if model.digest and (tag is None or model.store):
        how = "uploaded" if model.store else "created from a file"
        yield fleet.document.problem(
            ("models", model.name, "digest"),
            f"applies only to a tag of a registry: this model is {how}.",
            "Remove it.",
        )
    yield from _plain_http(fleet, model, None if model.store else tag)
    if model.store:
        yield from _store(fleet, (*key, "push"), weights["push"], Path(model.store), model.tag)
        return
    if tag is None:
        return
    try:
        parse(tag)
    except NotAName as error:
        yield fleet.document.problem(key, f"'{tag}' {error.mistake}", error.remedy)
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


def _store(
    fleet: Fleet, key: Key, name: str, directory: Path, tag: str | None
) -> Iterator[Problem]:
    """Yield a problem if the directory has no such model, or not all of it."""
    try:
        ollama_store.read(directory, tag)
    except ollama_store.NotUsable as error:
        yield fleet.document.problem(key, f"'{name}' {error.mistake}", error.remedy)


def _plain_http(fleet: Fleet, model: OllamaModel, tag: str | None) -> Iterator[Problem]:
    """Yield problems of a pull without TLS."""
    key: Key = ("models", model.name, "plain_http")
    if not model.plain_http:
        return
    if tag is None:
        yield fleet.document.problem(
            key, "applies only to a tag of a registry: this model comes from a file.", "Remove it."
        )
    elif not model.digest:
        yield fleet.document.warning(
            key,
            "without 'digest': anybody on the network between can replace the weights.",
            "Add digest: DIGEST, from /api/tags of a machine that has pulled the tag.",
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
