"""Unknown parsers and model families."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mirrorfleet.checks.vllm.known_names import known_names
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.vllm import AnyVllmModel, VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.abilities import generates
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, AnyVllmModel):
        if generates(model):
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
            "needs 'family' or 'tool_parser'.",
            "Write a family from `mirrorfleet docs models`, or tool_parser and reasoning_parser "
            "from the model card.",
            given=tuple((*key, name) for name in ("family", "tool_parser", "reasoning_parser")),
        )
    elif model.family is not None and model.family not in families:
        yield fleet.document.problem(
            (*key, "family"),
            f"'{model.family}' is not a known family.",
            family_of(model.family, families)
            or close_name(model.family, families)
            or "Choose a family from `mirrorfleet docs models`, or write tool_parser and "
            "reasoning_parser from the model card instead.",
        )


def family_of(word: str, families: Mapping[str, Any]) -> str:
    """Return a suggestion if ``word`` is the name of a model instead of a family; else empty."""
    family, model = _family_and_model(word, families)
    return f"Write '{family}', the family of {model}." if family else ""


def family_named(word: str) -> str:
    """Return the family of a model by its name, such as Qwen/Qwen3-Coder-Next-FP8; else empty."""
    return _family_and_model(word, table("families"))[0]


def _family_and_model(word: str, families: Mapping[str, Any]) -> tuple[str, str]:
    """Return the family of a model's name and the listed model; empty if there is none."""
    models = [
        (_dashed(model), model, name, content)
        for name, content in families.items()
        for model in content["models"]
    ]
    name = _dashed(word.rpartition("/")[2])
    is_instruct = False
    while True:
        for dashed, model, family, content in models:
            # Instruct models do not think: a reasoning parser would misread their answers.
            if name == dashed and not (is_instruct and "reasoning_parser" in content):
                return family, model
        variant = _VARIANT.search(name)
        if variant is None:
            return "", ""
        is_instruct = is_instruct or variant[0] in ("-instruct", "-it")
        name = name[: variant.start()]


def _dashed(name: str) -> str:
    return re.sub(r"[ _]", "-", name.lower())


_VARIANT = re.compile(
    r"-(?:a?\d+(?:\.\d+)?[bt]|[a-z]*fp[48]|bf16|int[48]|w\d+a\d+|awq|gptq|it|instruct)$"
)
"""A size, precision or training variant at the end of a model's name."""


def close_name(word: str, known: Iterable[str]) -> str:
    """Return a suggestion for a misspelt name, never one of another version; else empty.

    qwen3.9 is not a misspelt qwen3: the format of its tool calls can differ.
    """
    same = {_letters(name): name for name in known if _versions(name) == _versions(word)}
    close = get_close_matches(_letters(word), same, n=1, cutoff=0.85)
    return f"Did you mean '{same[close[0]]}'?" if close else ""


def _letters(name: str) -> str:
    return re.sub(r"[-_. ]", "", name.lower())


def _versions(name: str) -> list[str]:
    """Return the versions in a name, each with its prefix letter: v3.1 in deepseek-v3.1.

    A single letter counts as a version too: minicpm-o and minicpm-v are different models.
    """
    single = r"(?<![^-_. ])[a-z]"
    return re.findall(rf"(?:{single})?\d+(?:\.\d+)*|{single}(?![^-_. ])", name.lower())


def _parser(fleet: Fleet, model: VllmModel, kind: str, parser: str | None) -> Iterator[Problem]:
    """Yield a problem for a parser that the model's release of vLLM does not have."""
    known = sorted(known_names(fleet, model, f"{kind}_parsers"))
    # A plugin can register further parsers.
    if not known or f"{kind}-parser-plugin" in model.arguments:
        return
    if parser and parser not in known:
        yield fleet.document.problem(
            ("models", model.name, f"{kind}_parser"),
            f"'{parser}' is not a {kind} parser of vLLM {model.version}.",
            close_name(parser, known) or f"Choose one of: {', '.join(known)}.",
        )
    needed = table("families").get(model.family or "", {}).get(f"{kind}_parser")
    if needed and not parser and needed not in known:
        yield fleet.document.problem(
            ("models", model.name, "version"),
            f"is {model.version}, which has no {kind} parser '{needed}': the family "
            f"'{model.family}' needs it.",
            f"Choose another release, or write a {kind}_parser of this one.",
        )
