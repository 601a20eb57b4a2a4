"""Machines that cannot be told apart or reached, and ports that are taken."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.addresses import is_ip, is_name
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.registry import ENGINES


def problems(fleet: Fleet) -> Iterator[Problem]:
    yield from _addresses(fleet)
    yield from _ports(fleet)
    yield from _jumps(fleet)
    yield from _groups(fleet)
    yield from _drivers(fleet)


def _addresses(fleet: Fleet) -> Iterator[Problem]:
    for key, address in _written(fleet):
        if ":" in address and not is_ip(address):
            yield fleet.document.problem(
                key,
                f"is '{address}', which is no IPv6 address.",
                "A port goes into 'port', and that of a server to its model or the gateway.",
            )
        elif not address.strip("0123456789.") and not is_ip(address):
            yield fleet.document.problem(
                key,
                f"is '{address}', which is no IPv4 address.",
                "Four numbers of 0 to 255 make one, with dots between them.",
            )
        elif not is_ip(address) and not is_name(address):
            yield fleet.document.problem(
                key,
                f"is '{address}', which no name of a host can be.",
                "A name has 253 characters at most, and 1 to 63 between two dots.",
            )
    taken: dict[tuple[str, int], str] = {}
    for host in fleet.hosts.values():
        at = (host.address, host.port or fleet.ssh.port or 22)
        if at in taken:
            yield fleet.document.problem(
                ("hosts", host.name, "address"),
                f"is {host.address}, the address of '{taken[at]}'.",
                "One machine is one entry; a host can serve several models and roles.",
            )
        taken.setdefault(at, host.name)


def _written(fleet: Fleet) -> Iterator[tuple[Key, str]]:
    """Yield the addresses of hosts, those that servers listen on, and that of somebody's Redis."""
    for host in fleet.hosts.values():
        yield ("hosts", host.name, "address"), host.address
    if fleet.gateway and fleet.gateway.listen:
        yield ("gateway", "listen"), fleet.gateway.listen
    if fleet.gateway and fleet.gateway.redis and fleet.gateway.redis.host:
        yield ("gateway", "redis", "host"), fleet.gateway.redis.host
    if fleet.load_balancer and fleet.load_balancer.listen:
        yield ("load_balancer", "listen"), fleet.load_balancer.listen


def _ports(fleet: Fleet) -> Iterator[Problem]:
    listeners: list[tuple[Key, str, tuple[str, ...], int]] = [
        # First, and never closed: a door on this port would shut out whoever could open it again.
        (("hosts", host.name, "port"), "sshd", (host.name,), host.port or fleet.ssh.port or 22)
        for host in fleet.hosts.values()
    ]
    listeners += (each for engine in ENGINES.values() for each in engine.listeners(fleet))
    if fleet.gateway:
        hosts, metrics = fleet.gateway.hosts, fleet.gateway.metrics_port
        listeners.append((("gateway", "port"), "the gateway", hosts, fleet.gateway.port))
        if metrics:
            listeners.append(
                (("gateway", "metrics", "port"), "the gateway's metrics", hosts, metrics)
            )
        if (redis := fleet.gateway.redis) and redis.install:
            listeners.append((("gateway", "redis", "port"), "Redis", (redis.install,), redis.port))
        if (database := fleet.gateway.database) and database.install:
            listeners.append(
                (("gateway", "database", "port"), "Postgres", (database.install,), database.port)
            )
    if balancer := fleet.load_balancer:
        listeners.append(
            (
                ("load_balancer", "port"),
                "the load balancer",
                balancer.hosts,
                balancer.port,
            )
        )
    taken: dict[tuple[str, int], str] = {}
    for key, who, names, port in listeners:
        for name in names:
            if (name, port) in taken:
                yield fleet.document.problem(
                    key,
                    f"is {port} on host '{name}', where {taken[name, port]} listens already.",
                    f"Write another port, for example {port + 1}.",
                )
            taken.setdefault((name, port), who)


def _jumps(fleet: Fleet) -> Iterator[Problem]:
    """Jump hosts that lead back to where one wants to go."""
    for host in fleet.hosts.values():
        passed, at = {host.name}, host.jump
        while at and at in fleet.hosts:
            if at in passed:
                yield fleet.document.problem(
                    ("hosts", host.name, "jump"),
                    "leads back to this host.",
                    "One of the hosts on the way must be reached directly.",
                )
                break
            passed.add(at)
            at = fleet.hosts[at].jump


def _groups(fleet: Fleet) -> Iterator[Problem]:
    """Names that mean something else to pyinfra: its --limit looks among groups first."""
    everybody = {
        "hosts": "pyinfra's group of all hosts",
        fleet.document.path.stem: "this file, of which pyinfra makes a group of all hosts",
    }
    names = fleet.document.names("hosts")
    for host in fleet.hosts.values():
        if host.name in everybody:
            yield fleet.document.problem(
                ("hosts", host.name),
                f"is called like {everybody[host.name]}: `--limit {host.name}` would mean every "
                "host.",
                "Choose another name.",
            )
        for at, label in enumerate(host.labels):
            key: Key = ("hosts", host.name, "labels", at)
            if label in ("all", "hosts"):
                yield fleet.document.problem(
                    key, f"is '{label}', pyinfra's group of all hosts.", "Choose another word."
                )
            elif label != host.name and label in names:
                yield fleet.document.problem(
                    key,
                    f"is '{label}', the name of a host: `--limit {label}` would mean this one too.",
                    "Choose another word.",
                )


def _drivers(fleet: Fleet) -> Iterator[Problem]:
    """Drivers of GPUs that nobody has said to be there."""
    for host in fleet.hosts.values():
        if host.driver and not host.gpus:
            yield fleet.document.problem(
                ("hosts", host.name, "driver"),
                "is for a host with GPUs, and none are said of this one.",
                "Write how many it has, for example gpus: {count: 8}, or remove the driver.",
            )
