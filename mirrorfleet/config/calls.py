"""Time limits and retries of the requests to one model."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Calls:
    """Limits in seconds, and the number of retries. ``None``: those of the gateway."""

    timeout: int | None = None
    stream_timeout: int | None = None
    retries: int | None = None

    def over(self, other: Calls) -> Calls:
        """Return these limits, with those of ``other`` in place of the missing ones."""
        return Calls(
            *(
                getattr(other, name) if getattr(self, name) is None else getattr(self, name)
                for name in ("timeout", "stream_timeout", "retries")
            )
        )


def calls(section: Section) -> Calls:
    """Read the limits of one of ``models``, or of one of its deployments."""
    return Calls(section.get("timeout"), section.get("stream_timeout"), section.get("retries"))
