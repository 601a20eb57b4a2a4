"""Checks of models on Ollama, and of the servers of their hosts."""

from collections.abc import Iterator

from mirrorfleet.checks.ollama import release, server, weights
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    for part in (weights, release, server):
        yield from part.problems(fleet)
