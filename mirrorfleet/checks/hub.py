"""A token that is sent to the hub without TLS."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    if fleet.hub.token and fleet.hub.url.startswith("http://"):
        yield fleet.document.warning(
            ("hub", "url"),
            "is without TLS: the token would be sent unencrypted.",
            "Write an https URL.",
        )
