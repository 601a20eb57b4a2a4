"""Environment variables of vLLM: derived ones, secrets, and names that vLLM does not read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.config.sandbox import has_controls
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.data import table
from mirrorfleet.engines.placement import models_of

NAMES = re.compile(r"(^|_)(key|key_id|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
"""Names of variables whose values are secrets, but for the paths of files."""

VALUES = re.compile(
    r"^(Bearer |Basic |sk-|hf_|ghp_|github_pat_|glpat-|xox[a-z]-|AKIA|-----BEGIN )|://[^/@\s]*:[^/@\s]+@"
)
"""Beginnings by which secrets are known, and addresses that hold a password."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        for name, value in model.environment.items():
            yield from _variable(fleet, model, name, value)


def _variable(fleet: Fleet, model: VllmModel, name: str, value: str) -> Iterator[Problem]:
    key: Key = ("models", model.name, "environment", name)
    known = table("vllm_environment")["known"]
    if remedy := _derived(model, name):
        yield fleet.document.problem(key, "is derived, and cannot be written here.", remedy)
    elif VALUES.search(value) or (NAMES.search(name) and not value.startswith("/")):
        yield fleet.document.problem(
            key,
            "holds a secret, or has the name of one: this file is read by many.",
            "Remove it. The secrets of an engine are 'api_key' and hub.token.",
        )
    elif has_controls(value):
        yield fleet.document.problem(
            key, "holds a control character, which systemd does not pass on.", "Remove it."
        )
    elif name.startswith("VLLM_") and name not in known:
        yield fleet.document.warning(
            key, f"is not read by vLLM {model.version}.", did_you_mean(name, known)
        )


def _derived(model: VllmModel, name: str) -> str:
    """Return what to write instead of a variable that is derived; "" for any other."""
    said = table("vllm_environment")
    ours = dict(said["ours"])
    if model.build == "cpu":
        ours |= said["cpu"]
    if model.nodes > 1:
        ours |= said["nodes"]
    return next(
        (
            remedy
            for each, remedy in ours.items()
            if name == each or (each.endswith("_") and name.startswith(each))
        ),
        "",
    )
