"""Names that a model's release of vLLM knows."""

from __future__ import annotations

from mirrorfleet.config import Fleet
from mirrorfleet.config.vllm import VllmModel


def known_names(fleet: Fleet, model: VllmModel, kind: str) -> frozenset[str]:
    """Return the names of a ``kind``; empty if Mirrorfleet does not know those of the release.

    The check of releases reports that.
    """
    return frozenset((fleet.locks.names("vllm", model.version) or {}).get(kind, ()))
