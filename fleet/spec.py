"""A fleet file as frozen values: the shape is checked, defaults are filled in, nothing derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fleet.document import Document
from fleet.providers import PROVIDERS


@dataclass(frozen=True)
class Secret:
    """Where a secret is found at run time. It never holds the secret itself.

    ``directory`` is the fleet file's: relative files and commands start there.
    """

    source: Literal["env", "file", "command"]
    value: str
    directory: Path

    def __str__(self) -> str:
        return f"{{{self.source}: {self.value}}}"


@dataclass(frozen=True)
class Ssh:
    user: str | None
    port: int | None
    key: Path | None
    known_hosts: Path | None


@dataclass(frozen=True)
class Host:
    name: str
    address: str
    port: int | None
    user: str | None
    gpus: int


@dataclass(frozen=True)
class Weights:
    """``source`` is a repository id (hub), a directory of the controller (push) or of the host."""

    kind: Literal["hub", "push", "path"]
    source: str
    revision: str | None


@dataclass(frozen=True)
class VllmModel:
    name: str
    version: str
    build: Literal["cuda", "cpu"]
    weights: Weights
    family: str
    hosts: tuple[str, ...]
    port: int
    context: int
    output: int
    tensor_parallel: int
    gpu_memory_utilization: float
    api_key: Secret | None


@dataclass(frozen=True)
class ProviderModel:
    """``settings`` and ``secrets`` are what the provider wants to know, by the file's own keys."""

    name: str
    provider: str
    id: str
    settings: Mapping[str, str]
    secrets: Mapping[str, Secret]
    context: int
    output: int
    base_model: str | None


@dataclass(frozen=True)
class Gateway:
    hosts: tuple[str, ...]
    version: str
    url: str | None
    port: int
    workers: int | Literal["auto"]
    max_requests_before_restart: int | None
    timeout: int
    master_key: Secret


@dataclass(frozen=True)
class Developers:
    name: str
    hosts: tuple[str, ...]
    users: tuple[str, ...]
    model: str
    version: str
    key: Secret


@dataclass(frozen=True)
class Fleet:
    """Everything a fleet file says. ``document`` still knows the line of each key."""

    document: Document
    name: str
    ssh: Ssh
    packages: Literal["controller", "registry"]
    hosts: Mapping[str, Host]
    models: Mapping[str, VllmModel | ProviderModel]
    gateway: Gateway | None
    aliases: Mapping[str, str]
    fallbacks: Mapping[str, tuple[str, ...]]
    developers: Mapping[str, Developers]


def fleet(document: Document) -> Fleet:
    """Build the values from a document whose shape has been checked."""
    data, directory = document.data, document.path.parent
    return Fleet(
        document=document,
        name=data["name"],
        ssh=_ssh(data.get("ssh", {}), directory),
        packages=data.get("packages", "registry"),
        hosts={name: _host(name, said) for name, said in data["hosts"].items()},
        models={
            name: _model(name, said, directory) for name, said in data.get("models", {}).items()
        },
        gateway=_gateway(data["gateway"], directory) if "gateway" in data else None,
        aliases=data.get("aliases", {}),
        fallbacks={name: tuple(to) for name, to in data.get("fallbacks", {}).items()},
        developers={
            name: _developers(name, said, directory)
            for name, said in data.get("developers", {}).items()
        },
    )


def _ssh(said: dict[str, Any], directory: Path) -> Ssh:
    return Ssh(
        user=said.get("user"),
        port=said.get("port"),
        key=_path(said.get("key"), directory),
        known_hosts=_path(said.get("known_hosts"), directory),
    )


def _path(said: str | None, directory: Path) -> Path | None:
    return (directory / Path(said).expanduser()).resolve() if said else None


def _secret(said: dict[str, str], directory: Path) -> Secret:
    [(source, value)] = said.items()
    return Secret(source, value, directory.resolve())  # type: ignore[arg-type]


def _host(name: str, said: dict[str, Any]) -> Host:
    return Host(
        name=name,
        address=said["address"],
        port=said.get("port"),
        user=said.get("user"),
        gpus=said.get("gpus", {}).get("count", 0),
    )


def _model(name: str, said: dict[str, Any], directory: Path) -> VllmModel | ProviderModel:
    if "provider" in said:
        provider = PROVIDERS[said["provider"]]
        return ProviderModel(
            name=name,
            provider=said["provider"],
            id=said["id"],
            settings={key: said[key] for key in provider.settings if key in said},
            secrets={key: _secret(said[key], directory) for key in provider.secrets if key in said},
            context=said.get("context", 200_000),
            output=said.get("output", 32_000),
            base_model=said.get("base_model"),
        )
    return VllmModel(
        name=name,
        version=said["version"],
        build=said.get("build", "cuda"),
        weights=_weights(said, directory),
        family=said["family"],
        hosts=tuple(said["hosts"]),
        port=said.get("port", 8000),
        context=said["context"],
        output=said["output"],
        tensor_parallel=said.get("tensor_parallel", 1),
        gpu_memory_utilization=said.get("gpu_memory_utilization", 0.9),
        api_key=_secret(said["api_key"], directory) if "api_key" in said else None,
    )


def _weights(said: dict[str, Any], directory: Path) -> Weights:
    weights = said["weights"]
    if isinstance(weights, str):
        return Weights("hub", weights, said.get("revision"))
    if "push" in weights:
        return Weights("push", str(_path(weights["push"], directory)), None)
    return Weights("path", weights["path"], None)


def _gateway(said: dict[str, Any], directory: Path) -> Gateway:
    return Gateway(
        hosts=tuple(said["hosts"]),
        version=said["version"],
        url=said.get("url"),
        port=said.get("port", 4000),
        workers=said.get("workers", "auto"),
        max_requests_before_restart=said.get("max_requests_before_restart"),
        timeout=said.get("timeout", 600),
        master_key=_secret(said["master_key"], directory),
    )


def _developers(name: str, said: dict[str, Any], directory: Path) -> Developers:
    return Developers(
        name=name,
        hosts=tuple(said["hosts"]),
        users=tuple(said["users"]),
        model=said["model"],
        version=said["version"],
        key=_secret(said["key"], directory),
    )
