"""Parsers that vLLM does not have, and families that are not in the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import AnyVllmModel, VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, AnyVllmModel):
        yield from _family(fleet, model)
    # A running vLLM may have parsers that the releases here do not know.
    for model in models_of(fleet, VllmModel):
        yield from _parser(fleet, model, "tool", model.tool_parser)
        yield from _parser(fleet, model, "reasoning", model.reasoning_parser)


def _family(fleet: Fleet, model: AnyVllmModel) -> Iterator[Problem]:
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
            family_of(model.family, families)
            or meant(model.family, families)
            or "Instead of 'family', write the parsers that the model's card names: tool_parser, "
            "reasoning_parser.",
        )


def family_of(word: str, families: Mapping[str, Any]) -> str:
    """Suggest the family of a model whose name stands in place of a family."""
    models = [
        (_dashed(model), model, name, content)
        for name, content in families.items()
        for model in content["models"]
    ]
    name = _dashed(word.rpartition("/")[2])
    is_instruct = False
    while True:
        for dashed, model, family, content in models:
            # An Instruct model writes no thinking: a reasoning parser would misread it.
            if name == dashed and not (is_instruct and "reasoning_parser" in content):
                return f"Write '{family}', the family of {model}."
        variant = _VARIANT.search(name)
        if variant is None:
            return ""
        is_instruct = is_instruct or variant[0] in ("-instruct", "-it")
        name = name[: variant.start()]


def _dashed(name: str) -> str:
    return re.sub(r"[ _]", "-", name.lower())


_VARIANT = re.compile(
    r"-(?:a?\d+(?:\.\d+)?[bt]|[a-z]*fp[48]|bf16|int[48]|w\d+a\d+|awq|gptq|it|instruct)$"
)
"""One word about size, precision or training at the end of a model's name."""


def meant(word: str, known: Iterable[str]) -> str:
    """Suggest a name that is spelt almost alike, and never another version.

    qwen3.9 is no misspelt qwen3: its calls may be written in another way.
    """
    same = {_letters(each): each for each in known if _versions(each) == _versions(word)}
    close = get_close_matches(_letters(word), same, n=1, cutoff=0.85)
    return f"Did you mean '{same[close[0]]}'?" if close else ""


def _letters(name: str) -> str:
    return re.sub(r"[-_. ]", "", name.lower())


def _versions(name: str) -> list[str]:
    """Return the numbers of a name, each with a letter of its own: v3 of deepseek-v3.1 is v3.1.

    A letter alone counts as well: minicpm-o is another model than minicpm-v.
    """
    single = r"(?<![^-_. ])[a-z]"
    return re.findall(rf"(?:{single})?\d+(?:\.\d+)*|{single}(?![^-_. ])", name.lower())


def _parser(fleet: Fleet, model: VllmModel, kind: str, parser: str | None) -> Iterator[Problem]:
    known = table("vllm_parsers")[kind]
    # A plugin brings parsers that no list knows.
    if parser and parser not in known and f"{kind}-parser-plugin" not in model.arguments:
        yield fleet.document.problem(
            ("models", model.name, f"{kind}_parser"),
            f"'{parser}' is no {kind} parser of vLLM.",
            meant(parser, known) or f"vLLM has: {', '.join(known)}.",
        )
