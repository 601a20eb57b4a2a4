"""A host with ``address: local``: what it cannot have without SSH, and on loopback only."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.hosts import LOOPBACK
from mirrorfleet.config.problems import Problem

ONLY_SSH = ("port", "user", "jump")
"""Keys of a host that say how SSH reaches it."""

SSH = (*ONLY_SSH, "key", "known_hosts")
"""Keys of ``ssh`` that do."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for host in fleet.hosts.values():
        if host.is_local:
            yield from _alone(fleet, host)
            yield from _without_ssh(fleet, host)
            yield from _packages(fleet, host)


def _alone(fleet: Fleet, host: Host) -> Iterator[Problem]:
    others = sorted(fleet.document.names("hosts") - {host.name})
    if others:
        yield fleet.document.problem(
            ("hosts", host.name, "address"),
            f"is local, whose services listen on {LOOPBACK}: '{others[0]}' cannot reach them, and "
            "it cannot be reached.",
            "Write the machine's own address, and it is reached by SSH like the others.",
        )


def _without_ssh(fleet: Fleet, host: Host) -> Iterator[Problem]:
    keys = [*(("hosts", host.name, name) for name in ONLY_SSH)]
    if len(fleet.hosts) == 1:
        keys += [("ssh", name) for name in SSH]  # type: ignore[misc]
    for key in keys:
        if key in fleet.document.places:
            yield fleet.document.problem(
                key,
                f"has no effect: '{host.name}' is this machine, which is reached without SSH.",
                "Remove it.",
                given=(("hosts", host.name, "address"),),
            )


def _packages(fleet: Fleet, host: Host) -> Iterator[Problem]:
    """Yield a problem for people on other machines, who have no address of the gateway."""
    gateway = fleet.gateway
    if gateway is None or gateway.url or host.name not in gateway.hosts:
        return
    for group in fleet.developers.values():
        if group.packaged:
            yield fleet.document.problem(
                ("developers", group.name, "packaged"),
                f"are people with other machines, which cannot reach the gateway on {LOOPBACK}.",
                "Set gateway.url to an address that their machines reach.",
                given=(("gateway", "url"), ("gateway", "hosts")),
            )
