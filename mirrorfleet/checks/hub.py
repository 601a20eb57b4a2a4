"""A hub that is told more than it should be."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    if fleet.hub.token and fleet.hub.url.startswith("http://"):
        yield fleet.document.warning(
            ("hub", "url"),
            "is asked without TLS: whoever is on the way reads the token.",
            "Write an https address.",
        )
