"""Compose files: their services of LiteLLM, vLLM and Ollama."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from mirrorfleet.importing import gpus, ollama, vllm
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.engine import HERE, Engine, options
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.found import Found
from mirrorfleet.importing.hidden import expanded
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.sources import Source, Sources

CONTAINER = {
    "restart": "systemd restarts the service",
    "healthcheck": "Mirrorfleet tests the service before and after each change",
    "depends_on": "Mirrorfleet orders the services",
    "container_name": "the unit has a name of its own",
    "image": "the fleet file has the release",
    "build": "the fleet file has the release",
    "entrypoint": "Mirrorfleet starts the service",
    "pull_policy": "the fleet file has the release",
}
"""Keys of a compose service that Mirrorfleet decides by itself."""


def compose(draft: Draft, source: Source, sources: Sources, found: Found) -> None:
    """Read the services of a compose file."""
    services = source.tree.get("services")
    for name, service in services.items.items() if services else ():
        _service(draft, source, sources, found, name, service)
    draft.leave_later(
        source.tree, "a part of Docker's networks, volumes and files, which the fleet does not need"
    )


def _service(
    draft: Draft, source: Source, sources: Sources, found: Found, name: str, service: Node
) -> None:
    command = [word for key in ("entrypoint", "command") for word in _listed(service.get(key))]
    kind = _kind(name, service, command)
    if not kind:
        if _changes(name, service):
            reason = f"changes the service {name} of another file: import `docker compose config`"
            draft.leave(service, reason, Fate.OPEN)
        else:
            reason = f"the service {name} is no LiteLLM, vLLM or Ollama: keep it as it is"
            draft.leave(service, reason)
        return
    variables = dict(_environment(draft, source, sources, service))
    paths = dict(_volumes(service))
    if kind == "litellm":
        _gateway(draft, source, sources, found, service, command, variables)
    else:
        begin = vllm.start(command) if kind == "vllm" else None
        for word in command[: begin or 0]:
            draft.leave(word, "Mirrorfleet starts the engine", Fate.DERIVED)
        if kind == "vllm":
            engine = vllm.engine(draft, service, command[begin or 0 :], variables, paths)
        else:
            engine = ollama.server(draft, service, variables)
            if "/root/.ollama" in paths:
                engine.data.setdefault("models_directory", f"{paths['/root/.ollama']}/models")
        engine.machine = source.host or "server"
        engine.names = {name, *HERE}
        container = service.items.get("container_name")
        engine.names |= {container.text} if container else set()
        _published(draft, engine, service)
        _devices(engine, service)
        gpus.choose(engine)
        found.engines.append(engine)
    for key, node in service.items.items():
        derived = key in CONTAINER
        reason = CONTAINER.get(key, "of the container: Mirrorfleet's services run under systemd")
        if kind == "litellm":
            draft.leave_later(node, reason, Fate.DERIVED if derived else Fate.LEFT_OUT)
        elif key not in ("command", "environment", "env_file", "deploy", "gpus", "ports"):
            found.engines[-1].drop(node, reason, Fate.DERIVED if derived else Fate.LEFT_OUT)


def _kind(name: str, service: Node, command: list[Node]) -> str:
    image = expanded(_text(service.get("image"))) or ""
    if "litellm" in image or any(re.search(r"(^|/)litellm$", word.text) for word in command):
        return "litellm"
    if vllm.start(command) is not None or re.search(r"(^|/)[\w.-]*vllm[\w.-]*(:|@|$)", image):
        return "vllm"
    if not image and "vllm" in name and any(word.text.startswith("--model") for word in command):
        return "vllm"  # an image of their own
    if re.search(r"(^|/)ollama(:|@|$)", image):
        return "ollama"
    return _built(name, service) if not image else ""


def _built(name: str, service: Node) -> str:
    """Return the kind of a service with an image of their own, by its name and what it mounts."""
    build = service.get("build")
    named = " ".join([name, *(leaf.text for leaf in (build.leaves() if build else ()))])
    if not (build or service.get("image")):
        return ""
    inner = [_mount(item)[1].rstrip("/") for item in _listed(service.get("volumes"))]
    if "litellm" in named and any(re.search(r"config[\w.-]*\.ya?ml$", each) for each in inner):
        return "litellm"
    return "ollama" if "ollama" in named and "/root/.ollama" in inner else ""


def _changes(name: str, service: Node) -> bool:
    """Return whether a service of this file changes an engine or a gateway of another one."""
    is_whole = "image" in service.items or "build" in service.items or "extends" in service.items
    return not is_whole and re.search("vllm|ollama|litellm", name) is not None


def _text(node: Node | None) -> str:
    return node.text if node else ""


def _listed(node: Node | None) -> list[Node]:
    return node.list if node else []


def _environment(
    draft: Draft, source: Source, sources: Sources, service: Node
) -> Iterator[tuple[str, Node]]:
    named = service.get("env_file")
    for item in (named.list or [named]) if named else ():
        path = item.get("path") or item
        other = sources.variables(source, path.text) if path.text else None
        if other is None:
            draft.leave(path, "the file is not here: set its variables where you run mirrorfleet")
            continue
        draft.ledger.add(other.tree)
        draft.leave(path, "the names of its variables are read, never their values", Fate.FOLDED)
        yield from other.tree.items.items()
    environment = service.get("environment")
    yield from environment.items.items() if environment else ()


def _volumes(service: Node) -> Iterator[tuple[str, str]]:
    """Yield directories of the container, each with the absolute one of the host."""
    for item in _listed(service.get("volumes")):
        outside, inside = _mount(item)
        if outside.startswith("/"):
            yield inside.rstrip("/"), outside.rstrip("/")


def _mount(item: Node) -> tuple[str, str]:
    """Return the paths of a volume outside and inside the container, short or long form."""
    if item.items:
        return _text(item.get("source")), _text(item.get("target"))
    outside, _, rest = (expanded(item.text) or "").partition(":")
    return outside, rest.partition(":")[0]


def _published(draft: Draft, engine: Engine, service: Node) -> None:
    """Take the port on the host, at which the engine answers without a container."""
    ports = service.get("ports")
    for item in _listed(ports):
        text = expanded(item.text) or ""
        match = re.fullmatch(r"(?:[\d.]+:)?(\d+):(\d+)(?:/tcp)?", text)
        if match and (int(match[2]) in engine.ports):
            engine.ports |= {int(match[1])}
            default = 8000 if engine.kind == "vllm" else 11434
            if int(match[1]) != default:
                engine.set("port", int(match[1]), item)
            else:
                engine.drop(item, "the default of the fleet file", Fate.DERIVED)
                engine.data.pop("port", None)
        elif not text and any(item.text.endswith(f":{port}") for port in engine.ports):
            engine.drop(item, "depends on a variable: write port", Fate.OPEN)
        else:
            engine.drop(item, "not the port of the engine")


def _devices(engine: Engine, service: Node) -> None:
    short, deploy = service.get("gpus"), service.get("deploy")
    listed = service.get("deploy", "resources", "reservations", "devices")
    ids = [
        node
        for item in [*_listed(listed), *_listed(short)]
        for node in _listed(item.get("device_ids"))
    ]
    if ids:
        gpus.see(engine, gpus.CONTAINER, ids)
    for leaf in (leaf for part in (short, deploy) if part for leaf in part.leaves()):
        if leaf not in ids:
            engine.drop(leaf, "GPUs follow from tensor_parallel and devices", Fate.DERIVED)


def _gateway(
    draft: Draft, source: Source, sources: Sources, found: Found, service: Node,
    command: list[Node], variables: dict[str, Node],
) -> None:  # fmt: skip
    found.add_gateway(source.host or "server")
    found.variables += variables.items()
    image = service.items.get("image")
    if image and re.search(r"@sha256:[0-9a-f]{64}$", image.text):
        found.image = image.text
    config = ""
    for option in options(command):
        if option.name == "":
            draft.leave(option.words[0], "Mirrorfleet starts the gateway", Fate.DERIVED)
        else:
            found.arguments.append(option)
            config = (option.text or "") if option.name == "config" else config
    _port(draft, service)
    for item in _listed(service.get("volumes")):
        outside, inside = _mount(item)
        is_config = inside == config or PurePosixPath(inside).name in ("config.yaml", "config.yml")
        if not (outside and inside and is_config):
            continue
        if sources.file(source, outside) is None:
            draft.leave(item, f"the configuration {outside} is not here: import it too", Fate.OPEN)
        else:
            draft.leave(item, "the configuration is read", Fate.FOLDED)


def _port(draft: Draft, service: Node) -> None:
    for item in _listed(service.get("ports")):
        text = expanded(item.text)
        match = re.fullmatch(r"(?:[\d.]+:)?(\d+):\d+(?:/tcp)?", text or "")
        if match and match[1] != "4000" and draft.get("gateway", "port") is None:
            draft.take(item, ("gateway", "port"), int(match[1]))
        elif text is None:
            draft.leave(item, "depends on a variable: write gateway.port", Fate.OPEN)
        elif match:
            draft.leave(item, "the default of the fleet file", Fate.DERIVED)
