"""Pure: the canary of a service: what its session is asked with, and the hooks of its switch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mirrorfleet.roles import proof
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.shell import shell

PROGRAM = proof.program(proof.FILES / "canary.py", modules=proof.CANARY)

WORDS = 3000
"""Words of the first prompt: many blocks of a cache, and a second or two of a GPU."""

SHARE = 4
"""The prompt has at most the window divided by this, in words."""


def target(
    model: str, context: int, *, tools: bool, engines: Iterable[str] = (), replicas: int = 1
) -> dict[str, Any]:
    """Return how canary.py asks a model: the session is the same for each generation.

    ``context`` is its window in tokens. ``engines``: the URLs whose metrics count its cache; none
    stands for the service itself. ``replicas``: how many engines may answer.
    """
    return {
        "model": model,
        "words": min(WORDS, context // SHARE),
        "tools": tools,
        "engines": list(engines),
        "replicas": replicas,
    }


def hooks(canary: Canary | None) -> str:
    """Return the shell functions of a switch that measures and compares; empty without a canary."""
    if canary is None:
        return ""
    return shell(
        proof.FILES / "canary.sh",
        canary=PROGRAM,
        canary_spec=json.dumps(canary.spec),
        canary_url=canary.url,
    )
