"""Where a model to size comes from: a folder, a repository of the hub, or the fleet file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.checks.vllm.parsers import family_named
from mirrorfleet.config import Fleet, reading, schema
from mirrorfleet.config.problems import closest, did_you_mean
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.vllm import kv_cache, model_config, sizing, weights_size
from mirrorfleet.runtime.hub import HubError, Repository
from mirrorfleet.runtime.secrets import reveal

CONFIG, INDEX = "config.json", "model.safetensors.index.json"

REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+")

HUB: str = schema.definition("hub")["properties"]["url"]["default"]
"""The hub without a fleet file and without $HF_ENDPOINT."""

LARGEST_INDEX = 64 * 1024**2


class SizeError(Exception):
    """Why a model cannot be sized, with its remedy."""


@dataclass(frozen=True)
class Request:
    """What somebody asks for. Keys that are ``None`` are proposed.

    ``count`` and ``memory`` (GiB) are those of the GPUs; of ``host`` of the fleet file if unset.
    ``written_to`` is the fleet file that will name a folder, if it is not ``fleet_file``.
    """

    model: str
    fleet_file: str | None = None
    host: str | None = None
    count: int | None = None
    memory: float | None = None
    revision: str | None = None
    family: str | None = None
    context: int | None = None
    windows: int = sizing.WINDOWS
    kv_cache_dtype: str | None = None
    written_to: str | None = None


@dataclass(frozen=True)
class Source:
    """A model to size. ``keys`` are those of the fleet file that do not depend on GPUs."""

    title: str
    name: str
    model: sizing.Model
    weights: weights_size.Weights
    keys: dict[str, Any]
    declared: VllmModel | None = None


def source(request: Request, fleet: Fleet | None) -> Source:
    """Return the model that ``request.model`` names. Raises ``SizeError``.

    It is a model of the fleet file, a folder with config.json, such a file, or a repository.
    """
    word = request.model
    if fleet and word in fleet.models:
        return _declared(fleet, word)
    path = Path(word)
    if path.exists():
        directory = path if path.is_dir() else path.parent
        return _local(
            directory, _pushed(directory, request.written_to or request.fleet_file), request.family
        )
    if REPOSITORY.fullmatch(word):
        return _remote(_repository(word, request.revision or "main", fleet), request.family)
    known = did_you_mean(word, fleet.models) if fleet else _without_fleet(word)
    raise SizeError(
        f"{word}: no such folder, and not a repository such as Qwen/Qwen3-Coder-Next-FP8. "
        f"{known or 'Correct the name.'}"
    )


def _without_fleet(word: str) -> str:
    """Return the fix for the name of a family; for another word, a model that sounds like it."""
    if word in table("families"):
        return f"It is a family: name a repository, and add --family {word}."
    similar = closest(word, _vendor_names())
    return (
        f"Name the repository of {similar}, or add --fleet FILE."
        if similar
        else ("For a model of a fleet file, add --fleet FILE.")
    )


def _vendor_names() -> list[str]:
    """Return the models of all families, by their vendors' names."""
    return [name for family in table("families").values() for name in family.get("models", ())]


def _pushed(directory: Path, fleet_file: str | None) -> str:
    """Return a folder as the fleet file names it: relative to that file if there is one."""
    if fleet_file is None:
        return str(directory.resolve())
    return os.path.relpath(directory.resolve(), Path(fleet_file).resolve().parent)


def _declared(fleet: Fleet, name: str) -> Source:
    model = fleet.models[name]
    if not isinstance(model, VllmModel):
        raise SizeError(f"models.{name} is not on vLLM of this fleet: name a folder or repository.")
    weights = model.weights
    keys: dict[str, Any] = {"version": model.version}
    match weights.kind:
        case "hub":
            found = _remote(_repository(weights.source, weights.revision or "main", fleet), None)
            keys |= {"weights": weights.source, "revision": weights.revision}
        case "push":
            found = _local(Path(weights.source), "", None)
            keys["weights"] = fleet.document.data["models"][name]["weights"]
        case "path":
            raise SizeError(
                f"the weights of models.{name} are at {weights.source} of its hosts, which are not "
                f"contacted: copy {CONFIG} and {INDEX} from there into a folder, and name it."
            )
    for key in ("family", "tool_parser", "reasoning_parser"):
        if value := getattr(model, key):
            keys[key] = value
    return Source(found.title, name, found.model, found.weights, keys, model)


def _repository(name: str, revision: str, fleet: Fleet | None) -> Repository:
    """Return a repository of the fleet's hub, else of $HF_ENDPOINT with $HF_TOKEN."""
    if fleet is None:
        url = os.environ.get("HF_ENDPOINT") or HUB
        token = os.environ.get("HF_TOKEN") or None
        return Repository(url.rstrip("/"), name, revision, token)
    try:
        token = reveal(fleet.hub.token) if fleet.hub.token else None
    except DeployError as error:
        raise SizeError(f"hub.token: {error}") from None
    return Repository(fleet.hub.url, name, revision, token, fleet.hub.proxy)


def _remote(repository: Repository, family: str | None) -> Source:
    try:
        config = repository.file(CONFIG)
        try:
            index = repository.file(INDEX).content
        except HubError as error:
            if not error.is_missing:
                raise
            index = b""
        bytes_of_files = 0 if weights_size.from_index(index) else repository.weights_bytes()
    except HubError as error:
        owner, name = repository.name.split("/", 1)
        similar = closest(name, _vendor_names()) if error.is_unknown else ""
        hint = f" Did you mean {owner}/{similar}?" if similar not in ("", name) else ""
        raise SizeError(f"{error}{hint}") from None
    model = _model(config.content, f"{CONFIG} of {repository.name}")
    found = _weights(model, index, bytes_of_files, "safetensors of the repository")
    keys: dict[str, Any] = {"weights": repository.name}
    commit = config.commit or repository.revision
    if re.fullmatch("[0-9a-f]{40}", commit):
        keys["revision"] = commit
    return _source(repository.name, repository.name, model, found, keys, family)


def _local(directory: Path, pushed: str, family: str | None) -> Source:
    try:
        config = reading.content(directory / CONFIG, model_config.LARGEST)
    except reading.Missing:
        raise SizeError(
            f"{directory} has no {CONFIG}: copy it there from the model's repository."
        ) from None
    except reading.Unreadable as error:
        raise SizeError(str(error)) from None
    try:
        index = reading.content(directory / INDEX, LARGEST_INDEX)
    except reading.Missing:
        index = b""
    except reading.Unreadable as error:
        raise SizeError(str(error)) from None
    model = _model(config, str(directory / CONFIG))
    size = model_config.safetensors_bytes(directory)
    found = _weights(model, index, size, "safetensors of the folder")
    keys = {"weights": {"push": pushed}}
    name = directory.resolve().name
    return _source(name, name, model, found, keys, family)


def _model(config: bytes, place: str) -> dict[str, Any]:
    model = model_config.read(config)
    if not model:
        raise SizeError(f"{place} is not a JSON object: copy it again from the model's repository.")
    if not (kv_cache.layers(model, 1, 2) or kv_cache.assumed(model, 1, 2)):
        raise SizeError(
            f"{place} has no num_hidden_layers, num_attention_heads and hidden_size: it is not the "
            "config.json of a language model in the format of transformers."
        )
    return model


def _weights(model: dict[str, Any], index: bytes, size: int, files: str) -> weights_size.Weights:
    """Return the weights by the index, else by the files, else estimated."""
    if found := weights_size.from_index(index):
        return found
    if size:
        return weights_size.Weights(size, files)
    if found := weights_size.estimate(model):
        return found
    _, method = weights_size.bits(model)
    what = (
        f"quant_method '{method}' is not known here"
        if method
        else "config.json does not have the figures"
    )
    raise SizeError(
        f"the size of the weights is unknown: {what}. Put {INDEX} of the repository beside "
        f"{CONFIG}."
    )


def _source(
    title: str,
    name: str,
    model: dict[str, Any],
    weights: weights_size.Weights,
    keys: dict[str, Any],
    family: str | None,
) -> Source:
    if chosen := family or family_named(title):
        keys = {**keys, "family": chosen}
    assumes = tuple(sizing.assumptions(model))
    return Source(title, key_name(name), sizing.Model(model, weights.bytes, assumes), weights, keys)


def key_name(name: str) -> str:
    """Return a name for the fleet file: the last part, in lower case, without other characters."""
    last = name.rpartition("/")[2].lower()
    return re.sub(r"[^a-z0-9]+", "-", last).strip("-")[:63].rstrip("-") or "model"
