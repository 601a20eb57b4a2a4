"""Releases of vLLM without a usable lock file."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.checks.releases import lock_text, locked, unlocked
from mirrorfleet.config import Fleet
from mirrorfleet.config.lock_files import cuda_mismatch
from mirrorfleet.config.problems import Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        key = ("models", model.name, "version")
        if any(advisories.problems(fleet, key, "vllm", model.version)):
            continue
        suffix = "-cpu" if model.build == "cpu" else ""
        yield from unlocked(fleet, key, "vllm", model.version, suffix)
        is_pinned = model.build == "cuda" and model.version in locked("vllm")
        if is_pinned and (mismatch := cuda_mismatch(lock_text("vllm", model.version))):
            yield fleet.document.problem(
                key,
                f"its lock file pins {mismatch}: engines could not compile their kernels.",
                f"Run `bin/lock vllm {model.version}` to update it, or choose another release.",
            )
