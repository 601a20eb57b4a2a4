"""Problems of models of every engine and provider."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks.aliases import limit
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem
from mirrorfleet.engines.abilities import generates


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if generates(model) and model.output >= model.context:
            yield fleet.document.problem(
                limit(model, "output"),
                f"is {model.output} tokens, but the context window is {model.context}: a prompt "
                "would not fit.",
                f"Write {model.context // 8} or less.",
            )
