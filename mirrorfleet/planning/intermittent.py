"""Machines that are often off: a run goes on without them."""

from __future__ import annotations

from collections.abc import Set

from mirrorfleet.config import Fleet


def intermittent(fleet: Fleet, servers: Set[str], clients: Set[str]) -> set[str]:
    """Return the names of hosts that may be off during a run.

    ``servers`` have services, ``clients`` have developers. If the fleet file does not say it, these
    are the developers' machines on which nothing else depends.
    """
    jumps = {fleet.ssh.jump, *(host.jump for host in fleet.hosts.values())}
    found = set()
    for name, host in fleet.hosts.items():
        is_desk = name in clients and name not in servers | jumps and not host.is_local
        if is_desk if host.intermittent is None else host.intermittent:
            found.add(name)
    return found
