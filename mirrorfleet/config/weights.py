"""How weights travel between the hosts of a model."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class WeightsSharing:
    """``is_on``: hosts of a model take weights from each other, at ``port`` of their addresses."""

    is_on: bool
    port: int


def weights(section: Section) -> WeightsSharing:
    """Read ``weights``."""
    return WeightsSharing(section["share"], section["port"])
