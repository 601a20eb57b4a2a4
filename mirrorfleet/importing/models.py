"""Bring models and engines together: aliases, deployments, replicas, and engines of the fleet."""

from __future__ import annotations

from typing import Any

from mirrorfleet.checks.model_names import PLAIN
from mirrorfleet.importing import ollama, running, vllm
from mirrorfleet.importing.deployments import place_alias, place_providers
from mirrorfleet.importing.draft import Draft, plain
from mirrorfleet.importing.engine import Engine
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.litellm_models import NAME
from mirrorfleet.importing.parts import Part, Piece, ordered, settle

OLLAMA = ("ollama", "ollama_chat")


def place(draft: Draft, pieces: list[Piece], engines: list[Engine], files: list[Piece]) -> None:
    """Write ``models`` and ``aliases``. ``files`` are models of Modelfiles."""
    left: list[Piece] = []
    served: dict[str, Piece] = {}
    aliases: list[tuple[str, str, Piece]] = []
    for piece in pieces:
        engine = next((each for each in engines if _asks(piece, each)), None)
        if engine is None:
            left.append(piece)
        elif engine.kind == "vllm":
            _join(engine, piece, served, aliases, left)
        elif running.is_engine(piece):
            _join_own_ollama(engine, piece, served)
        else:
            _join_ollama(draft, engine, piece, served, aliases)
    servers = [engine for engine in engines if engine.kind == "ollama"]
    for file in files:
        _join_file(file, servers[0] if servers else None, served)
    for engine in engines:
        if engine.kind == "vllm" and engine not in served.values():
            first = served.get(engine.name)
            if isinstance(first, Engine) and _replicas(first, engine):
                _add_replica(first, engine, [], served)
            else:
                served[_free(engine.name, served)] = engine
        elif engine.kind == "ollama" and (engine.data or engine.parts):
            served[_free("ollama", served)] = ollama.unnamed(engine)
    left = _at_urls(left, served)
    for name, piece in served.items():
        _place_engine(draft, name, piece)
    place_providers(draft, left)
    for alias, name, piece in aliases:
        place_alias(draft, alias, name, piece)
    for engine in engines:
        for other in engine.others:
            names = {*draft.get("models"), *draft.data.get("aliases", {})}
            if other not in names and NAME.fullmatch(other):
                draft.put(("aliases", other), engine.name)


def _at_urls(left: list[Piece], served: dict[str, Piece]) -> list[Piece]:
    """Serve Mirrorfleet's own entries for engines on no host of the input; return the others.

    Every gateway has the same entry. An engine with several addresses has none: it stays an entry.
    """
    others = []
    for piece in left:
        alike = [each for each in left if each.name == piece.name]
        if not running.is_engine(piece) or not all(map(piece.same, alike)):
            others.append(piece)
        elif piece is alike[0] and piece.name not in served:
            for each in alike[1:]:
                piece.parts += [
                    Part(part.node, (), Fate.FOLDED, f"the same as models.{piece.name}")
                    for part in each.parts
                ]
            served[piece.name] = piece
    for piece in served.values():
        if piece in left:
            running.at_url(piece)
    return others


def _asks(piece: Piece, engine: Engine) -> bool:
    """Return whether an entry asks an engine: by its own API, OpenAI's or Anthropic's."""
    is_ollama = piece.data.get("prefix") in OLLAMA
    any_engine = piece.data["provider"] in ("openai_compatible", "anthropic")
    if not any_engine and is_ollama != (engine.kind == "ollama"):
        return False
    url = piece.data.get("url", "http://localhost:11434" if is_ollama else "")
    is_known = is_ollama or any_engine
    return is_known and isinstance(url, str) and bool(url) and engine.answers(url, piece.data["id"])


KEPT = ("output", "timeout", "stream_timeout", "retries", "vision", "tools")
"""Keys that a model of an engine has as one of a provider has them."""


def _adopt(engine: Piece, piece: Piece) -> None:
    """Move the parts of an entry of LiteLLM's to the model of the engine that it asks."""
    for part in piece.parts:
        key = str(part.suffix[0]) if part.suffix else ""
        if part.fate != Fate.TAKEN or key == "rate":
            engine.parts.append(part)
        elif key in ("id", "provider", "prefix"):
            engine.parts.append(
                Part(part.node, ("engine",), Fate.TAKEN, "the engine that answers it")
            )
        elif key == "url":
            engine.drop(part.node, "the address of the engine's host", Fate.DERIVED)
        elif (
            (key in KEPT and key not in engine.data)
            or (key == "context" and key not in engine.data)
            or (
                key == "api_key"
                and isinstance(piece.data[key], dict)
                and "api_key" not in engine.data
            )
        ):
            engine.data[key] = piece.data[key]
            engine.parts.append(part)
        elif key == "model_info" and engine.data.get("task") and part.suffix[1] == "mode":
            engine.data["task"] = running.TASKS.get(part.node.text, engine.data["task"])
            engine.parts.append(Part(part.node, ("task",)))
        elif key in ("model_info", "price") and part.suffix[1] != "mode":
            name = part.suffix[1]
            engine.model.setdefault(key, {})[name] = piece.model[key][name]
            engine.parts.append(part)
        else:
            engine.drop(part.node, "the engine has it", Fate.FOLDED)
    engine.rate |= piece.rate


def _join(
    engine: Engine,
    piece: Piece,
    served: dict[str, Piece],
    aliases: list[tuple[str, str, Piece]],
    left: list[Piece],
) -> None:
    if engine not in served.values():
        other = served.get(piece.name)
        if isinstance(other, Engine) and _replicas(other, engine):
            _add_replica(other, engine, piece.parts, served)
            return
        if PLAIN.fullmatch(piece.name) and piece.name not in served:
            engine.name = piece.name
        engine.name = _free(engine.name, served)
        served[engine.name] = engine
        if engine.name != piece.name:
            aliases.append((piece.name, engine.name, piece))
        if _has(engine, "output"):
            engine.chosen = [each for each in engine.chosen if each[0] != "output"]
        _adopt(engine, piece)
    else:
        aliases.append((piece.name, engine.name, piece))


def _add_replica(
    model: Engine, engine: Engine, parts: list[Part], served: dict[str, Piece]
) -> None:
    """Add the host of an engine to those of its model; ``parts`` are those of its entry."""
    model.data["hosts"] = [*model.data.get("hosts", [model.machine]), engine.machine]
    model.parts += [
        Part(part.node, (), Fate.FOLDED, f"a replica of models.{model.name}")
        for part in (*engine.parts, *parts)
    ]
    engine.parts, engine.missing, engine.chosen, engine.served = [], [], [], []
    served[f"\0{len(served)}"] = engine


def _has(engine: Piece, key: str) -> bool:
    return any(part.suffix == (key,) for part in engine.parts)


def _replicas(one: Engine, other: Engine) -> bool:
    ignored = ("hosts", "api_key", "devices", "port", *KEPT)
    mine, theirs = (
        {k: v for k, v in each.data.items() if k not in ignored} for each in (one, other)
    )
    return mine == theirs and one.machine != other.machine


def _join_ollama(
    draft: Draft,
    engine: Engine,
    piece: Piece,
    served: dict[str, Piece],
    aliases: list[tuple[str, str, Piece]],
) -> None:
    tag = piece.data["id"]
    same = next(
        (
            each
            for each in served.values()
            if each.data.get("weights") == tag and each.data.get("engine") == "ollama"
        ),
        None,
    )
    if same is not None:
        aliases.append((piece.name, same.name, piece))
        return
    name = (
        piece.name
        if PLAIN.fullmatch(piece.name) and piece.name not in served
        else _free(plain(tag), served)
    )
    if tag.removesuffix(":latest") == name:
        name = _free(f"{name}-ollama", served)  # Ollama stores the model under its name here
    if name != piece.name:
        aliases.append((piece.name, name, piece))
    parts, before = piece.parts, piece
    adopted = Piece(name, piece.entry)
    ollama.model(engine, name, tag, adopted)
    parameters = before.data.get("parameters", {})
    window = parameters.get("num_ctx")
    for part in parts:
        key = part.suffix[1] if part.suffix[:1] == ("parameters",) else ""
        if key == "num_ctx" and isinstance(window, int) and window >= 4096:
            adopted.set("context", window, part.node)
        elif key == "keep_alive" and "keep_alive" not in adopted.data:
            adopted.set("keep_alive", str(parameters["keep_alive"]), part.node)
        elif key:
            adopted.drop(part.node, "requests to an engine of the fleet pass through untranslated")
    before.parts = [part for part in parts if part.suffix[:1] != ("parameters",)]
    _adopt(adopted, before)
    served[name] = adopted


def _join_own_ollama(engine: Engine, piece: Piece, served: dict[str, Piece]) -> None:
    """Add a model that Mirrorfleet put on an Ollama, under its own name; or one more host of it."""
    before = served.get(piece.name)
    if before is not None:
        before.data["hosts"] = [*before.data["hosts"], engine.machine]
        for part in (*engine.parts, *piece.parts):
            before.drop(part.node, f"a replica of models.{piece.name}", Fate.FOLDED)
        engine.data, engine.parts = {}, []
        return
    # The server has the largest window of its models: each entry has that of its own.
    engine.data.pop("context", None)
    engine.parts = [
        Part(part.node, (), Fate.DERIVED, "the largest window of the server's models")
        if part.suffix == ("context",)
        else part
        for part in engine.parts
    ]
    adopted = Piece(piece.name, piece.entry)
    ollama.own_model(engine, adopted)
    piece.parts = [part for part in piece.parts if part.suffix[:1] != ("parameters",)]
    _adopt(adopted, piece)
    served[piece.name] = adopted


def _join_file(file: Piece, server: Engine | None, served: dict[str, Piece]) -> None:
    """Add the model of a Modelfile, or its file to the model of the same tag."""
    if server is None:
        file.data = {"engine": "ollama", **file.data, "hosts": ["gpu"]}
    else:
        weights, parts, data = file.data.pop("weights"), file.parts, dict(file.data)
        ollama.model(server, file.name, weights, file)
        file.parts = [*parts, *(part for part in file.parts if part not in parts)]
        file.data |= data
    for name, piece in served.items():
        same = (
            piece.data.get("engine") == "ollama"
            and str(piece.data["weights"]).split(":")[0] == file.name
        )
        if same:
            piece.parts += file.parts
            piece.data |= {
                key: file.data[key] for key in ("weights", "context") if key in file.data
            }
            piece.missing = [each for each in piece.missing if each[0] not in file.data]
            served[name] = piece
            return
    served[_free(file.name, served)] = file


def _free(name: str, taken: dict[str, Any]) -> str:
    base, number = name, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _place_engine(draft: Draft, name: str, piece: Piece) -> None:
    if name.startswith("\0"):
        draft.leave(piece.entry, "a replica of the same model", Fate.FOLDED)
        return
    piece.name = name
    if piece.data["engine"] == "ollama" and "url" not in piece.data:
        ollama.finish(piece)
    elif isinstance(piece, Engine):
        piece.data.setdefault("hosts", [piece.machine])
        vllm.finish(piece)
    draft.put(("models", name), {**ordered(piece.data), **piece.model})
    if piece.rate:
        draft.put(("gateway", "limits", "models", name), piece.rate)
    settle(draft, piece, ("models", name), ("models", name))
