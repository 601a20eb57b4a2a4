"""The canary of a service: what a session of two turns needs to measure it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Canary:
    """The session with a service in generations, as roles/proof/files/canary.py asks it.

    ``url`` is without the port. ``key`` is the variable of its key in the environment of the
    generation, "" without one; the key goes to a process of ``user`` only. ``seconds`` is the
    maximum for all ``targets``.
    """

    service: str
    title: str
    url: str
    port: int
    user: str
    key: str
    seconds: int
    targets: Sequence[Mapping[str, Any]]

    @property
    def spec(self) -> dict[str, Any]:
        """The session in the form that the program reads."""
        return {
            "user": self.user,
            "key": self.key,
            "seconds": self.seconds,
            "targets": [dict(target) for target in self.targets],
        }
