"""Engines that run at a URL: a configuration that Mirrorfleet wrote shows their kind."""

from __future__ import annotations

from typing import Any

from mirrorfleet.checks.vllm.parsers import family_named
from mirrorfleet.data import table
from mirrorfleet.importing.draft import whole
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.parts import Part, Piece

TASKS = {"embedding": "embed", "rerank": "rerank"}
"""LiteLLM's mode of a model that does not answer, and its task."""

PARSER = "gateways need to know only that this vLLM has one: write the one that it runs with"


def is_engine(piece: Piece) -> bool:
    """Return whether Mirrorfleet wrote this entry for an engine."""
    return piece.entry.get("model_info", "mirrorfleet_mends") is not None


def at_url(piece: Piece) -> None:
    """Turn the entry of an engine that is on no host of the input into a model with a URL."""
    mends, mode = (piece.entry.get("model_info", name) for name in ("mirrorfleet_mends", "mode"))
    translated = piece.data["provider"] != "anthropic"
    kind = "external" if translated else "ollama" if mends and mends.list else "vllm"
    data: dict[str, Any] = {"engine": kind}
    for key, value in piece.data.items():
        if key == "url":
            data[key] = value.removesuffix("/v1") if translated else value
        elif key == "id":
            data |= {"served_name": value} if value != piece.name else {}
        elif key == "api_key":
            # LiteLLM requires a key for every server: "none" is for one that checks none.
            key_node = piece.entry.get("litellm_params", "api_key")
            data |= {} if key_node is None or key_node.text == "none" else {key: value}
        elif key not in ("provider", "prefix", "parameters"):
            data[key] = value
    if mode and mode.text in TASKS:
        data["task"] = TASKS[mode.text]
        piece.model.pop("model_info", None)
        data.pop("vision", None)
        _window(data, piece.entry.get("model_info", "max_input_tokens"))
    piece.chosen = []
    piece.parts = [_moved(part, data, piece) for part in piece.parts]
    piece.data = data
    if kind == "vllm":
        _parsers(piece)


def _window(data: dict[str, Any], node: Node | None) -> None:
    if node and (window := whole(node, 64)):
        data["context"] = window


def _moved(part: Part, data: dict[str, Any], piece: Piece) -> Part:
    """Return a part with its key of the engine's model."""
    key = part.suffix[0] if part.suffix else ""
    if part.fate != Fate.TAKEN or not key or key in data or key in ("rate", *piece.model):
        return part
    if key == "id":
        return Part(part.node, ("engine",), reason="the engine that answers it")
    if key == "model_info":
        return Part(part.node, ("task",))
    return Part(part.node, (), Fate.DERIVED, "what the gateway needs for this engine")


def _parsers(piece: Piece) -> None:
    """Choose the family by the model's name, or any parser: an entry has only what they do."""
    thinking = piece.entry.get("model_info", "mirrorfleet_thinking")
    served = str(piece.data.get("served_name", piece.name))
    family = table("families").get(family_named(served), {})
    if family and ("reasoning_parser" in family) == (thinking is not None):
        piece.default("family", family_named(served), "by the name of the model")
        return
    piece.default("tool_parser", "hermes", PARSER)
    if thinking is not None:
        piece.default("reasoning_parser", "qwen3", PARSER)
