"""Connections via jump hosts: the ssh configuration of a fleet's jump hosts."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from mirrorfleet.config import Fleet, Host


def hops(spec: Fleet, host: Host) -> list[Host]:
    """Return the jump hosts for ``host``, the outermost first.

    The common jump host, and the jump hosts before it, are not reached via the common one.
    """
    common, own = _way(spec, spec.ssh.jump), _way(spec, host.jump)
    if host in common or (own and own[0] in common):
        return own
    return [*common, *own]


def _way(spec: Fleet, jump: str | None) -> list[Host]:
    way: list[Host] = []
    while jump:
        way.insert(0, spec.hosts[jump])
        jump = way[0].jump
    return way


def configuration(spec: Fleet, host: Host) -> str | None:
    """Return the ssh configuration for ``host``, ``None`` if it needs no jump host.

    pyinfra reads jump hosts only from a configuration file, and a user's own file does not have the
    fleet's jump hosts. The host key of each jump host is checked as that of any other host.
    """
    way = hops(spec, host)
    if not way:
        return None
    chain = ",".join(hop.name for hop in way)
    return "\n".join(
        [*(_entry(spec, hop) for hop in way), f"Host {host.address}", f"  ProxyJump {chain}", ""]
    )


def _entry(spec: Fleet, hop: Host) -> str:
    options = {
        "HostName": hop.address,
        "User": hop.user or spec.ssh.user,
        "Port": hop.port or spec.ssh.port,
        "IdentityFile": spec.ssh.key,
        "UserKnownHostsFile": spec.ssh.known_hosts,
        "StrictHostKeyChecking": "yes",
    }
    lines = [f"  {name} {value}" for name, value in options.items() if value is not None]
    return "\n".join([f"Host {hop.name}", *lines])


def file(content: str) -> str:
    """Write a configuration for this user only, until the program ends, and return its path."""
    path = _directory() / sha256(content.encode()).hexdigest()[:12]
    path.write_text(content, "utf-8")
    return str(path)


@cache
def _directory() -> Path:
    directory = tempfile.mkdtemp(prefix="mirrorfleet-ssh-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)
