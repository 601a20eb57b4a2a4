"""Systemd units and shell scripts: the engines and gateways that they start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import PurePosixPath

from mirrorfleet.importing import gpus, ollama, vllm
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.engine import HERE, Engine, Option, options
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.found import Found
from mirrorfleet.importing.hidden import Hidden
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.scripts import PRINTS
from mirrorfleet.importing.sources import Source, Sources


def _listed(node: Node | None) -> list[Node]:
    return node.list if node else []


def units(draft: Draft, given: list[Source], sources: Sources, found: Found) -> None:
    """Read units with their drop-ins."""
    by_name: dict[tuple[str, str], list[Source]] = {}
    for source in given:
        parent = source.path.parent.name
        name = parent.removesuffix(".d") if parent.endswith(".service.d") else source.name
        by_name.setdefault((source.host, name), []).append(source)
    for (_, name), files in by_name.items():
        files.sort(key=lambda source: source.path.suffix == ".conf")
        _unit(draft, name, files, sources, found)


def _unit(draft: Draft, name: str, files: list[Source], sources: Sources, found: Found) -> None:
    words: list[Node] = []
    entries: list[Node] = []
    variables: dict[str, Node] = {}
    for source in files:
        service = source.tree.get("Service")
        for item in _listed(service.get("ExecStart") if service else None):
            for former in words:
                draft.leave(former, "a drop-in replaces the command")
            words = item.list
        for item in _listed(service.get("EnvironmentFile") if service else None):
            other = sources.variables(source, item.text) if item.text else None
            if other:
                draft.ledger.add(other.tree)
                draft.leave(item, "its variables are read", Fate.FOLDED)
                variables |= other.tree.items
            else:
                draft.leave(item, "the file is not here: its variables are not read")
        for item in _listed(service.get("Environment") if service else None):
            for variable, node in variables.items():
                if variable in item.items and node is not item.items[variable]:
                    draft.leave(node, "a later line sets this variable again")
            variables |= item.items
        entries.append(source.tree)
    is_read = _start(draft, name, files[0], words, variables, found) or not words
    is_read = is_read or _start_script(draft, files[0], words[0], variables, sources, found)
    if not is_read and "litellm" in name:
        _gateway(draft, files[0], words, variables, found)
    for entry in entries:
        draft.leave_later(entry, "Mirrorfleet writes the unit", Fate.DERIVED)


def _start_script(
    draft: Draft,
    unit: Source,
    word: Node,
    variables: dict[str, Node],
    sources: Sources,
    found: Found,
) -> bool:
    """Read the script that a unit starts, if it is beside the unit. Return whether it is known."""
    other = sources.file(unit, PurePosixPath(word.text).name) if word.text else None
    if other is None or other.kind != "script":
        return False
    draft.ledger.add(other.tree)
    environment, assigned = map(other.tree.get, ("environment", "variables"))
    merged = {**(dict(environment.items) if environment else {}), **variables}
    others = dict(assigned.items) if assigned else {}
    for command in _listed(other.tree.get("commands")):
        if _start(draft, unit.name, other, command.list, merged, found, others):
            draft.leave(word, f"its script {other.name} is read", Fate.FOLDED)
            return True
    return False


def script(draft: Draft, source: Source, found: Found) -> None:
    """Read the commands of a shell script, or a file of variables of Ollama."""
    environment, assigned = map(source.tree.get, ("environment", "variables"))
    variables = dict(environment.items) if environment else {}
    others = dict(assigned.items) if assigned else {}
    for command in _listed(source.tree.get("commands")):
        if _start(draft, source.name, source, command.list, variables, found, others):
            variables, others = {}, {}
        draft.leave_later(command, "not a command that starts an engine or a gateway")
    if variables and not found.engines and not source.tree.get("commands"):
        _start(draft, source.name, source, [], variables, found)
    draft.leave_later(source.tree, "no engine or gateway reads it")


def _start(
    draft: Draft,
    name: str,
    source: Source,
    words: list[Node],
    variables: Mapping[str, Node],
    found: Found,
    others: Mapping[str, Node] | None = None,
) -> bool:
    """Read what a command starts. ``others``: variables that only the command can refer to."""
    texts = [word.text for word in words]
    begin = vllm.start(words) if texts[:1] and texts[0] not in PRINTS else None
    entry = Node(
        {str(at): each for at, each in enumerate([*words, *variables.values()])},
        str(source.path),
        0,
        (),
    )
    if begin is not None:
        lookup = {name: node.text for name, node in {**(others or {}), **variables}.items()}
        inner, ports, paths = _container(draft, words[:begin], lookup)
        arguments = _arguments(draft, words[begin:])
        engine = vllm.engine(draft, entry, arguments, {**variables, **inner}, paths, others)
        _docker_gpus(engine, words[:begin])
        for inside, outside in ports.items():
            if inside in engine.ports:
                engine.ports |= {outside}
                engine.data["port"] = outside
    elif _is_ollama(name, texts, variables, is_script=source.kind == "script"):
        engine = ollama.server(draft, entry, variables)
        for word in words:
            engine.drop(word, "Mirrorfleet starts Ollama", Fate.DERIVED)
    elif any(re.search(r"(^|/)litellm$", text) for text in texts):
        _gateway(draft, source, words, variables, found)
        return True
    else:
        return False
    gpus.choose(engine)
    engine.machine = source.host or "gpu"
    engine.names = {*HERE, *([engine.address] if engine.address else [])}
    found.engines.append(engine)
    return True


def _is_ollama(
    name: str, texts: list[str], variables: Mapping[str, Node], *, is_script: bool
) -> bool:
    """Return whether a command starts Ollama, or variables are those of its server.

    A script can have other commands, and variables of clients.
    """
    starts = any(re.search(r"(^|/)ollama$", text) for text in texts)
    if is_script and texts:
        return starts and "serve" in texts
    is_server = any(each in ollama.NUMBERS or each in ollama.KEYS for each in variables)
    return starts or (not is_script and "ollama" in name) or is_server


def _arguments(draft: Draft, words: list[Node]) -> list[Node]:
    """Return the words before the first redirection of the shell."""
    for at, word in enumerate(words):
        if re.match(r"[\d&]?>", word.text):
            for other in words[at:]:
                draft.leave(other, "the output goes to journald", Fate.DERIVED)
            return words[:at]
    return words


def _gateway(
    draft: Draft, source: Source, words: list[Node], variables: Mapping[str, Node], found: Found
) -> None:
    """Take the variables and the arguments of a LiteLLM, also of one that a program starts."""
    host = source.host or "gateway"
    found.variables += variables.items()
    found.add_gateway(host)
    for option in options(words):
        if option.name == "host" and option.text and option.text not in (*HERE, "::"):
            found.addresses[host] = option.text
        if option.name:
            found.arguments.append(option)
        else:
            draft.leave(option.words[0], "Mirrorfleet starts the gateway", Fate.DERIVED)


def _container(
    draft: Draft, words: list[Node], lookup: Mapping[str, str]
) -> tuple[dict[str, Node], dict[int, int], dict[str, str]]:
    """Read the options of `docker run` before the image: variables, ports, and directories."""
    variables: dict[str, Node] = {}
    ports: dict[int, int] = {}
    paths: dict[str, str] = {}
    previous = ""
    for word in words:
        name, filled = str(word.key[-1]), Option("", (word,), (word,), lookup).text
        if isinstance(word.value, Hidden) or (previous in ("-e", "--env") and name[:1] != "-"):
            variables[name] = word
        elif match := re.fullmatch(r"(?:[\d.]+:)?(\d+):(\d+)", filled or ""):
            ports[int(match[2])] = int(match[1])
        elif previous in ("-p", "--publish") and filled is None:
            draft.leave(word, "depends on a variable: write port", Fate.OPEN)
        elif previous in ("-v", "--volume") and word.text.startswith("/"):
            outside, _, rest = word.text.partition(":")
            paths[rest.partition(":")[0].rstrip("/")] = outside.rstrip("/")
        previous = word.text
    chosen = [word for word, _ in _docker_devices(words)]
    for word in words:
        if word not in variables.values() and word not in chosen:
            draft.leave(word, "Mirrorfleet starts the engine", Fate.DERIVED)
    return variables, ports, paths


def _docker_devices(words: list[Node]) -> list[tuple[Node, str]]:
    """Return the word of `docker run --gpus` that lists GPUs, and its list."""
    found = []
    for before, word in pairwise([*words[:1], *words]):
        is_inline = word.text.startswith("--gpus=")
        if before.text == "--gpus" or is_inline:
            text = word.text.removeprefix("--gpus=").replace('"', "")
            if match := re.search(r"device=([^=]+?)(,\w+=.*)?$", text):
                found.append((word, match[1]))
    return found[:1]


def _docker_gpus(engine: Engine, words: list[Node]) -> None:
    for word, text in _docker_devices(words):
        gpus.see(engine, gpus.CONTAINER, [word], text)
