"""Models with a wildcard, which route every name of their form."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, ProviderModel
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.wildcards import has_wildcard


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in fleet.models.values():
        if isinstance(model, ProviderModel):
            yield from _ids(fleet, model)
        elif has_wildcard(model.name):
            yield fleet.document.problem(
                ("models", model.name),
                "has a wildcard, but an engine serves one model.",
                "Write a name without *.",
            )
    for name in filter(has_wildcard, fleet.aliases):
        yield fleet.document.problem(
            ("aliases", name),
            "has a wildcard, which LiteLLM does not resolve in aliases.",
            "Write a model with this name.",
        )
    for kind, lists in fleet.fallback_lists.items():
        for name, targets in lists.items():
            if has_wildcard(name):
                yield fleet.document.problem(
                    (kind, name),
                    "has a wildcard, but LiteLLM looks up fallbacks by the requested name.",
                    "Write the names that clients request.",
                )
            for index, target in enumerate(targets):
                if has_wildcard(target):
                    yield fleet.document.problem(
                        (kind, name, index),
                        f"is '{target}', and a request needs one model.",
                        "Write a whole name.",
                    )
    for group in fleet.developers.values():
        key: Key = ("developers", group.name)
        for option in ("model", "subagent_model"):
            value = getattr(group, option)
            if value and has_wildcard(value):
                yield fleet.document.problem(
                    (*key, option),
                    f"is '{value}', and a request needs one model.",
                    "Write a whole name.",
                )


def _ids(fleet: Fleet, model: ProviderModel) -> Iterator[Problem]:
    for deployment in model.deployments:
        if deployment.id.count("*") > model.name.count("*"):
            yield fleet.document.problem(
                (*deployment.key, "id"),
                f"is '{deployment.id}', with more wildcards than the name '{model.name}'.",
                "Write a name with *, or the id of one model.",
            )
