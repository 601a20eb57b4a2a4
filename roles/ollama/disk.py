"""The room that the files from the controller need on a host.

A file waits below ``STATE`` until the server has it. From the GGUF file of a Modelfile, Ollama
writes a second one, for a moment twice. The first one stays until the server starts more than an
hour later, or until deploys/remove_weights.py. What a pull needs is known to the registry only:
Ollama reports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import blobs, models, render
from mirrorfleet.runtime import chunks
from mirrorfleet.runtime.facts import Disk, Fact, FileSizes
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.problems import error


def facts(plan: OllamaPlan) -> list[Fact[Any]]:
    """Return the facts about free space, if the controller sends files."""
    if not any(blobs.of_model(model) for model in plan.models):
        return []
    return [Disk(path) for path in dict.fromkeys((STATE, plan.models_directory))]


def problems(plan: OllamaPlan, observed: Observation) -> Iterator[Problem]:
    """Yield disks without room for the files that will be sent."""
    for path, needed in needs(plan, observed).items():
        free = observed[Disk(path)]
        if free is not None and needed > free:
            yield error(
                f"the files for Ollama need {needed / 1e9:.2f} GB below {path}, and "
                f"{free / 1e9:.2f} GB are free.",
                "Make room: deploys/remove_weights.py removes weights that no model uses.",
            )


def needs(plan: OllamaPlan, observed: Observation) -> dict[str, int]:
    """Return the bytes that missing files need, by the directory; the disks may be the same."""
    late = models.outdated(plan, observed)
    missing = blobs.missing(plan, late, observed)
    if not any(blobs.of_model(model) for model in late):
        return {}
    arrived = observed[FileSizes(blobs.STAGING)]
    largest = max((blob.size for blob in missing.values()), default=0)
    staged = largest + min(chunks.CHUNK, largest)
    staged = max(0, staged - sum(arrived.get(name, 0) for name in missing))
    kept = sum(blob.size for blob in missing.values())
    copies = {blob.sha256: blob for model in late for blob in blobs.of_model(model)}
    rewritten = [blob.size for blob in copies.values() if blob.is_rewritten]
    kept += sum(rewritten) + max(rewritten, default=0)
    if render.is_at_home(plan):
        return {STATE: staged + kept}
    return {STATE: staged, plan.models_directory: kept}
