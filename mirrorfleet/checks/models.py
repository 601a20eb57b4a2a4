"""What holds for every model, wherever it is served."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if model.output >= model.context:
            yield fleet.document.problem(
                ("models", model.name, "output"),
                f"is {model.output}, not below the context of {model.context}: "
                "no room for a prompt.",
                f"Write {model.context // 8} or less.",
            )
