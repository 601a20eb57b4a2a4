"""Paths on hosts that systemd hides from a service, and control characters.

The engines' own checks cover the values of models.
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
    """Yield a problem for control characters."""
    if isinstance(value, str) and has_controls(value):
        yield fleet.document.problem(
            key,
            "has a control character, which systemd does not pass to the service.",
            "Remove it. Put long text, for example a chat template, into a file.",
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
