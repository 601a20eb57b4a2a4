"""Environment variables of vLLM: derived ones, literal secrets, and unknown names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.checks.vllm.known_names import known_names
from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.config.sandbox import has_controls
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.placement import models_of

NAMES = re.compile(r"(^|_)(key|key_id|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
"""Names of variables whose values are secrets, unless they are paths of files."""

VALUES = re.compile(
    r"^(Bearer |Basic |sk-|hf_|ghp_|github_pat_|glpat-|xox[a-z]-|AKIA|-----BEGIN )|://[^/@\s]*:[^/@\s]+@"
)
"""Known prefixes of secrets, and URLs with a password."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        for name, value in model.environment.items():
            yield from _variable(fleet, model, name, value)


def _variable(fleet: Fleet, model: VllmModel, name: str, value: str) -> Iterator[Problem]:
    key: Key = ("models", model.name, "environment", name)
    known = known_names(fleet, model, "variables")
    if remedy := _derived(model, name):
        yield fleet.document.problem(key, "cannot be set here.", remedy)
    elif VALUES.search(value) or (NAMES.search(name) and not value.startswith("/")):
        yield fleet.document.problem(
            key,
            "is a secret, or has the name of one: the fleet file must not contain secrets.",
            "Remove it. Secrets of an engine belong in 'api_key' and hub.token.",
        )
    elif has_controls(value):
        yield fleet.document.problem(
            key,
            "has a control character, which systemd does not pass to the service.",
            "Remove it.",
        )
    elif known and name.startswith("VLLM_") and name not in known:
        yield fleet.document.warning(
            key, f"is not a variable of vLLM {model.version}.", did_you_mean(name, known)
        )


def _derived(model: VllmModel, name: str) -> str:
    """Return what to write instead of a derived variable; empty for any other variable."""
    variables = table("vllm_environment")
    derived = dict(variables["derived"])
    if model.build == "cpu":
        derived |= variables["cpu"]
    if model.nodes > 1:
        derived |= variables["nodes"]
    return next(
        (
            remedy
            for prefix, remedy in derived.items()
            if name == prefix or (prefix.endswith("_") and name.startswith(prefix))
        ),
        "",
    )
