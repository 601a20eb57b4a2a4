"""Checks of models on vLLM."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks.vllm import (
    abilities,
    arguments,
    environment,
    memory,
    nodes,
    parsers,
    paths,
    releases,
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
        environment,
        paths,
        nodes,
        releases,
    ):
        yield from check.problems(fleet)
