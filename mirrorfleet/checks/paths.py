"""Paths on hosts that a service does not see, and text that no command line can hold.

Those of a model are checked with its engine.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.config.sandbox import HOMES, TEMPORARY, has_controls, hidden


def problems(fleet: Fleet) -> Iterator[Problem]:
    for name, value in fleet.gateway.environment.items() if fleet.gateway else ():
        if isinstance(value, str):
            yield from path(fleet, ("gateway", "environment", name), value, HOMES)
            # systemd passes these two on.
            yield from text(
                fleet, ("gateway", "environment", name), value.translate({9: " ", 10: " "})
            )
    for host in fleet.hosts.values():
        if host.cuda_compat:
            yield from path(fleet, ("hosts", host.name, "gpus", "cuda_compat"), host.cuda_compat)
    balancer = fleet.load_balancer
    if balancer and balancer.certificate and balancer.certificate.path:
        key = ("load_balancer", "certificate", "path")
        yield from path(fleet, key, balancer.certificate.path)


def text(fleet: Fleet, key: Key, value: object) -> Iterator[Problem]:
    """Yield a problem for control characters, which only JSON can escape."""
    if isinstance(value, str) and has_controls(value):
        yield fleet.document.problem(
            key,
            "holds a control character, and systemd passes none on.",
            "Remove it; a longer text, such as a chat template, is read from a file.",
        )


def path(
    fleet: Fleet, key: Key, value: str, places: tuple[str, ...] = HOMES + TEMPORARY
) -> Iterator[Problem]:
    """Yield a problem for a path that systemd hides from the service."""
    if place := hidden(value, places):
        option = "ProtectHome" if place in HOMES else "PrivateTmp"
        yield fleet.document.problem(
            key,
            f"is {value}, but systemd hides {place} from the service ({option}).",
            "Move it, for example below /srv, and write the new path.",
        )
