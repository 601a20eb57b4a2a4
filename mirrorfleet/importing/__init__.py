"""Import what runs already: other configurations become a fleet, each value with a fate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirrorfleet.importing import (
    abilities,
    claude,
    claude_own,
    completion,
    compose,
    gateway,
    litellm,
    litellm_models,
    models,
    ollama,
    own_gateway,
    own_keys,
    services,
)
from mirrorfleet.importing.draft import Choice, Draft, Need
from mirrorfleet.importing.engine import Engine
from mirrorfleet.importing.fates import Entry, Fate
from mirrorfleet.importing.found import Found
from mirrorfleet.importing.nodes import Node, NotReadable
from mirrorfleet.importing.parts import Piece
from mirrorfleet.importing.proof import prove
from mirrorfleet.importing.sources import Source, Sources
from mirrorfleet.importing.writer import text

__all__ = ["Choice", "Entry", "Fate", "Import", "Need", "NotReadable", "run"]


@dataclass(frozen=True)
class Import:
    """A fleet made of other configurations.

    ``text`` is the fleet file. ``needs``: values that are missing, with placeholders in it.
    ``choices``: values that no input decides. ``variables``: the variables to set, by name.
    """

    text: str
    data: dict[str, Any]
    entries: tuple[Entry, ...]
    needs: tuple[Need, ...]
    choices: tuple[Choice, ...]
    variables: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether something needs a decision."""
        return bool(self.needs) or any(entry.fate == Fate.OPEN for entry in self.entries)


def run(
    paths: Sequence[str],
    *,
    name: str,
    target: Path,
    answers: Sequence[tuple[str, Any]] = (),
    standard_input: str = "",
) -> Import:
    """Read the files at ``paths``, and return the fleet that they describe.

    ``target`` is where the fleet file will be: paths in it are relative to its directory.
    ``answers`` are keys of the fleet file with values that the input does not have. Raises
    ``NotReadable``.
    """
    draft, sources = Draft(), Sources()
    for path in paths:
        sources.add(path, standard_input)
    for source in list(sources.found):
        draft.ledger.add(source.tree)
    draft.data |= {"version": 1, "name": name, "hosts": {}}
    found = _services(draft, sources)
    has_gateway = _gateway(draft, sources, found)
    settings = sources.kind("Claude Code")
    if not has_gateway:
        claude_own.external(draft, settings)
    keys = [source for source in sources.kind("gateway") if "keys" in source.tree.items]
    groups = list(
        claude.groups(
            draft,
            settings,
            own_keys.groups(keys),
            has_gateway=has_gateway or bool(draft.get("gateway")),
            has_aliases=bool(found.own_entries),
        )
    )
    logins = {
        group.name: {each for seats in group.seats.values() for each in seats} for group in groups
    }
    completion.developers(draft, groups)
    own_keys.restrict(draft, keys, logins)
    own_keys.opened(
        draft, [each for each in sources.kind("gateway") if "openai" in each.tree.items]
    )
    completion.complete(draft, found, groups)
    _finish(draft, sources, found, target, answers)
    return Import(
        text=text(draft),
        data=draft.data,
        entries=tuple(draft.ledger.entries()),
        needs=tuple(draft.needs),
        choices=tuple(
            {
                choice.key: choice for choice in draft.choices if draft.get(*choice.key) is not None
            }.values()
        ),
        variables=tuple(sorted(set(gateway.references(draft.data)))),
        files=tuple(str(source.path) for source in sources.found),
    )


def _services(draft: Draft, sources: Sources) -> Found:
    found = Found()
    for source in sources.kind("compose"):
        compose.compose(draft, source, sources, found)
    services.units(draft, sources.kind("unit"), sources, found)
    for source in sources.kind("script"):
        services.script(draft, source, found)
    for source in list(sources.found):
        draft.ledger.add(source.tree)
    return found


def _gateway(draft: Draft, sources: Sources, found: Found) -> bool:
    """Take LiteLLM's configurations, its environment and its arguments. Return if there are any."""
    configurations: list[tuple[Source, dict[str, Node]]] = []
    for source in sources.kind("LiteLLM"):
        if not any(source is other for other, _ in configurations):
            configurations.append((source, litellm.sections(source, sources, draft)))
            found.add_gateway(source.host)
    pieces: list[Piece] = []
    for _, sections in configurations:
        listed = sections.get("model_list", Node([], "", 0, ()))
        is_own = litellm.is_of_mirrorfleet(sections)
        found.own_entries += listed.list if is_own else ()
        pieces += filter(
            None, (litellm_models.piece(node, draft, is_own=is_own) for node in listed.list)
        )
    files = [ollama.modelfile(draft, source) for source in sources.kind("Modelfile")]
    _ports(found.engines)
    models.place(draft, pieces, found.engines, [file for file in files if file])
    for name, node in found.variables:
        if name == "DATABASE_URL":  # other settings apply to it
            gateway.variable(draft, name, node)
    for source, sections in configurations:
        litellm.settings(draft, sections, source)
    for source in sources.kind("gateway"):
        own_gateway.take(draft, source)
    if any(
        litellm.is_of_mirrorfleet(sections) and litellm.has_passthrough(sections)
        for _, sections in configurations
    ):
        own_gateway.passthrough(draft)
    for name, node in found.variables:
        if not draft.ledger.has(node):
            gateway.variable(draft, name, node)
    for option in found.arguments:
        value = option.values[0] if option.values and not option.inline else None
        gateway.argument(draft, option.name, value, option.words[0])
    for source in sources.kind("variables"):
        draft.leave(source.tree, "nothing that was read uses it")
    return bool(configurations or found.variables or found.arguments or draft.data.get("models"))


def _ports(engines: Iterable[Engine]) -> None:
    """Give engines that use the same port machines of their own: one machine could not run both."""
    taken: set[tuple[str, int]] = set()
    for engine in engines:
        machine, number = engine.machine, 2
        # A host has one Ollama, and the engines of vLLM have ports of their own.
        port = engine.data.get("port", 8000) if engine.kind == "vllm" else 0
        while (engine.machine, port) in taken:
            engine.machine, number = f"{machine}-{number}", number + 1
        taken.add((engine.machine, port))


def _finish(
    draft: Draft, sources: Sources, found: Found, target: Path, answers: Sequence[tuple[str, Any]]
) -> None:
    for key, value in answers:
        _answer(draft, key, value)
    _relative(draft, target)
    for source in sources.found:
        draft.ledger.add(source.tree)
    draft.leave_rest()
    prove(draft, target)
    if found.own_entries:
        _in_order(draft, found.own_entries)
        abilities.restore(draft, found.own_entries, target)
        prove(draft, target)
    for name in [
        name for name, value in draft.data.items() if value in ({}, []) and name != "hosts"
    ]:
        del draft.data[name]
    draft.ledger.finish()


def _in_order(draft: Draft, entries: Iterable[Node]) -> None:
    """Put the models in the order of the entries: clients list them so."""
    names = [name.text for entry in entries if (name := entry.get("model_name"))]
    models = draft.data.get("models", {})
    draft.data["models"] = {name: models[name] for name in [*names, *models] if name in models}


def _answer(draft: Draft, dotted_key: str, value: Any) -> None:
    """Set a value that the user gives, which answers the question at this key."""
    need = next((need for need in draft.needs if ".".join(map(str, need.key)) == dotted_key), None)
    key = need.key if need else tuple(dotted_key.split("."))
    draft.put(key, value)
    if need:
        draft.needs.remove(need)


def _relative(draft: Draft, target: Path) -> None:
    """Write paths of files of this machine relative to the directory of the fleet file."""
    start = target.resolve().parent
    modules = draft.get("gateway", "modules")
    if modules:
        draft.put(("gateway", "modules"), [_path(start, each) for each in modules])
    for model in draft.data.get("models", {}).values():
        weights = model.get("weights")
        if isinstance(weights, dict) and "modelfile" in weights:
            model["weights"] = {"modelfile": _path(start, weights["modelfile"])}


def _path(start: Path, path: str) -> str:
    return os.path.relpath(Path(path).resolve(), start)
