"""Parsers that vLLM does not have, and families that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        yield from _family(fleet, model)
        yield from _parser(fleet, model, "tool", model.tool_parser)
        yield from _parser(fleet, model, "reasoning", model.reasoning_parser)


def _family(fleet: Fleet, model: VllmModel) -> Iterator[Problem]:
    key: Key = ("models", model.name)
    families = table("families")
    if model.family is None and not (model.tool_parser or model.reasoning_parser):
        yield fleet.document.problem(
            key,
            "has neither 'family' nor 'tool_parser'.",
            "Write a family that `mirrorfleet docs models` lists, or the parsers that the model's "
            "card names: tool_parser, reasoning_parser.",
            given=tuple((*key, each) for each in ("family", "tool_parser", "reasoning_parser")),
        )
    elif model.family is not None and model.family not in families:
        yield fleet.document.problem(
            (*key, "family"),
            f"'{model.family}' is not among the families that `mirrorfleet docs models` lists.",
            meant(model.family, families)
            or "Instead of 'family', write the parsers that the model's card names: tool_parser, "
            "reasoning_parser.",
        )


def meant(word: str, known: Iterable[str]) -> str:
    """Suggest a name that is spelt almost alike, and never another generation.

    qwen3.9 is no misspelt qwen3: its calls may be written in another way.
    """
    same = [each for each in known if _generation(each) == _generation(word)]
    close = get_close_matches(word, same, n=1, cutoff=0.8)
    return f"Did you mean '{close[0]}'?" if close else ""


def _generation(name: str) -> list[str]:
    return re.findall(r"[0-9]+(?:\.[0-9]+)*", name)


def _parser(fleet: Fleet, model: VllmModel, kind: str, parser: str | None) -> Iterator[Problem]:
    known = table("vllm_parsers")[kind]
    # A plugin brings parsers that no list knows.
    if parser and parser not in known and f"{kind}-parser-plugin" not in model.arguments:
        yield fleet.document.problem(
            ("models", model.name, f"{kind}_parser"),
            f"'{parser}' is no {kind} parser of vLLM.",
            meant(parser, known) or f"vLLM has: {', '.join(known)}.",
        )
