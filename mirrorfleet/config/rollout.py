"""The rings in which gateways and developers' machines change."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Rollout:
    """``rings`` are names, in the order of their changes.

    ``slowdown``: how many times as long as before an answer may take.
    """

    rings: tuple[str, ...]
    slowdown: float

    def of(self, ring: str | None) -> str:
        """Return the ring of something: the last one, if the file names none."""
        return ring or self.rings[-1]


def rollout(section: Section) -> Rollout:
    """Read ``rollout``."""
    return Rollout(section.strings("rings"), section["slowdown"])
