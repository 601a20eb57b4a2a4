"""Gateways that would stop, lie or refuse by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check import advisories
from fleet.problems import Problem
from fleet.spec import Fleet


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        if fleet.developers and not fleet.document.says("gateway"):
            yield fleet.document.problem(
                ("developers",), "have no gateway to talk to.", "Add a 'gateway' section."
            )
        return
    if not fleet.document.names("models"):
        yield fleet.document.problem(("gateway",), "has no model to route to.", "Add 'models'.")
    yield from advisories.problems(fleet, ("gateway", "version"), "litellm", gateway.version)
    if gateway.workers == 1 and gateway.max_requests_before_restart:
        yield fleet.document.problem(
            ("gateway", "max_requests_before_restart"),
            "would stop the whole gateway each time: its only worker is the server.",
            "Write workers: 2 or more, or auto.",
        )
    if len(gateway.hosts) > 1 and not gateway.url:
        yield fleet.document.problem(
            ("gateway",),
            f"has {len(gateway.hosts)} hosts and no 'url'.",
            "Write the address of the load balancer in front of them, or of one of them.",
        )
