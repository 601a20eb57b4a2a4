"""Fixtures of the tests with the real LiteLLM, which takes six seconds to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.litellm.gateway import Gateway, planned, serving
from tests.litellm.upstream import Upstream, upstream

GOOD = Path(__file__).parents[1] / "fleet" / "good"

Serve = Callable[[str], Gateway]


@pytest.fixture(scope="session", name="upstream")
def recording() -> Iterator[Upstream]:
    """Yield the stand-in for all providers and engines."""
    with upstream() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def serve(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Yield a function that returns the running gateway of a fleet in tests/fleet/good/.

    Each gateway starts once per module.
    """
    running: dict[str, Gateway] = {}
    with ExitStack() as stack:

        def start(name: str) -> Gateway:
            if name not in running:
                plan, directory = planned(GOOD / f"{name}.yml"), tmp_path_factory.mktemp(name)
                running[name] = stack.enter_context(serving(plan, upstream, directory))
            upstream.taken()
            return running[name]

        yield start
