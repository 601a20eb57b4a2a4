"""The commands that write a missing known_hosts file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.problems import Problem
from mirrorfleet.runtime import jump


def problems(fleet: Fleet) -> Iterator[Problem]:
    """Yield the problem of an ``ssh.known_hosts`` that does not exist, with the commands to run."""
    path = fleet.ssh.known_hosts
    if path and not path.is_file():
        yield fleet.document.problem(
            ("ssh", "known_hosts"),
            f"the file {path} does not exist.",
            f"Run: {' && '.join(scans(fleet, path))}; then compare the fingerprints with the "
            "hosts' own.",
        )


def scans(fleet: Fleet, path: Path) -> list[str]:
    """Return the commands that append the keys of all hosts, one per port and jump host."""
    addresses: dict[tuple[str, int | None], list[str]] = {}
    for host in fleet.hosts.values():
        way = (_through(fleet, jump.hops(fleet, host)), host.port or fleet.ssh.port)
        addresses.setdefault(way, []).append(host.address)
    return [
        f"{through}ssh-keyscan {_port('-p', port)}{' '.join(hosts)} >>{shlex.quote(str(path))}"
        for (through, port), hosts in addresses.items()
    ]


def _through(fleet: Fleet, hops: list[Host]) -> str:
    """Return the start of a command that runs on the last of these jump hosts."""
    if not hops:
        return ""
    logins = [
        "@".join(filter(None, (hop.user or fleet.ssh.user, hop.address)))
        + _port(":", hop.port or fleet.ssh.port).strip()
        for hop in hops[:-1]
    ]
    last = hops[-1]
    login = "@".join(filter(None, (last.user or fleet.ssh.user, last.address)))
    jumps = f"-J {','.join(logins)} " if logins else ""
    return f"ssh {jumps}{_port('-p', last.port or fleet.ssh.port)}{login} "


def _port(option: str, port: int | None) -> str:
    """Return the option for a port, empty for the default one."""
    space = " " if option.startswith("-") else ""
    return f"{option}{space}{port} " if port not in (None, 22) else ""
