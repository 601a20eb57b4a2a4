"""Reaching hosts through other hosts: what an ssh configuration says of a fleet's jump hosts."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from mirrorfleet.config import Fleet, Host


def hops(spec: Fleet, host: Host) -> list[Host]:
    """Return the hosts on the way to ``host``, the outermost first.

    The jump host of all, and those on the way to it, are not reached through it.
    """
    everybodys, own = _way(spec, spec.ssh.jump), _way(spec, host.jump)
    if host in everybodys or (own and own[0] in everybodys):
        return own
    return [*everybodys, *own]


def _way(spec: Fleet, jump: str | None) -> list[Host]:
    way: list[Host] = []
    while jump:
        way.insert(0, spec.hosts[jump])
        jump = way[0].jump
    return way


def configuration(spec: Fleet, host: Host) -> str | None:
    """Return the ssh configuration that leads to ``host``, or ``None`` when it needs no hop.

    pyinfra takes jump hosts from a configuration file alone, and that of a person knows nothing of
    the fleet's. Each hop is checked by its host key like any other host.
    """
    way = hops(spec, host)
    if not way:
        return None
    chain = ",".join(hop.name for hop in way)
    return "\n".join(
        [*(_entry(spec, hop) for hop in way), f"Host {host.address}", f"  ProxyJump {chain}", ""]
    )


def _entry(spec: Fleet, hop: Host) -> str:
    said = {
        "HostName": hop.address,
        "User": hop.user or spec.ssh.user,
        "Port": hop.port or spec.ssh.port,
        "IdentityFile": spec.ssh.key,
        "UserKnownHostsFile": spec.ssh.known_hosts,
        "StrictHostKeyChecking": "yes",
    }
    lines = [f"  {name} {value}" for name, value in said.items() if value is not None]
    return "\n".join([f"Host {hop.name}", *lines])


def file(content: str) -> str:
    """Write a configuration where only this user can read it, until the program ends."""
    path = _directory() / sha256(content.encode()).hexdigest()[:12]
    path.write_text(content, "utf-8")
    return str(path)


@cache
def _directory() -> Path:
    directory = tempfile.mkdtemp(prefix="mirrorfleet-ssh-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)
