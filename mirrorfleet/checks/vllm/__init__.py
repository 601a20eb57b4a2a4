"""Checks of models on vLLM."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks.vllm import (
    abilities,
    arguments,
    chat_template,
    environment,
    memory,
    nodes,
    parsers,
    paths,
    releases,
    shares,
    weights,
)
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    for check in (
        arguments,
        weights,
        memory,
        parsers,
        abilities,
        chat_template,
        shares,
        environment,
        paths,
        nodes,
        releases,
    ):
        yield from check.problems(fleet)
