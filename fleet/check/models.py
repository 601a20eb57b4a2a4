"""What holds for every model, wherever it is served."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.problems import Problem
from fleet.spec import Fleet


def problems(fleet: Fleet) -> Iterator[Problem]:
    plain: dict[str, str] = {}
    for model in fleet.models.values():
        # As the environment variables of its secrets spell it.
        twin = plain.setdefault(model.name.replace(".", "-"), model.name)
        if twin != model.name:
            yield fleet.document.problem(
                ("models", model.name),
                f"differs from '{twin}' in punctuation only.",
                "Rename one of the two.",
            )
        if model.output >= model.context:
            yield fleet.document.problem(
                ("models", model.name, "output"),
                f"is {model.output}, not below the context of {model.context}: "
                "no room for a prompt.",
                f"Write {model.context // 8} or less.",
            )
