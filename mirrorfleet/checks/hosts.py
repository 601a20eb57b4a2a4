"""Hosts with invalid, duplicate or circular addresses, ports in use, reserved names, off or not."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import EngineModel, Fleet
from mirrorfleet.config.addresses import is_ip, is_name
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.registry import ENGINES


def problems(fleet: Fleet) -> Iterator[Problem]:
    yield from _addresses(fleet)
    yield from _ports(fleet)
    yield from _jumps(fleet)
    yield from _reserved(fleet)
    yield from _drivers(fleet)
    yield from _intermittent(fleet)


def _addresses(fleet: Fleet) -> Iterator[Problem]:
    for key, address in _all_addresses(fleet):
        before, _, port = address.rpartition(":")
        if is_ip(before) and port.isdecimal() and not is_ip(address) and key[0] == "hosts":
            yield fleet.document.problem(
                key,
                f"is '{address}', an address with a port.",
                f"Write address: {before}, port: {port}.",
            )
        elif ":" in address and not is_ip(address):
            yield fleet.document.problem(
                key,
                f"'{address}' is not an IPv6 address.",
                "To set a port, use the key 'port'.",
            )
        elif not address.strip("0123456789.") and not is_ip(address):
            yield fleet.document.problem(
                key,
                f"'{address}' is not an IPv4 address.",
                "Write four numbers from 0 to 255, for example 10.0.1.11.",
            )
        elif not is_ip(address) and not is_name(address):
            yield fleet.document.problem(
                key,
                f"'{address}' is not a valid host name.",
                "Use at most 253 characters, and 1 to 63 between two dots.",
            )
    taken: dict[tuple[str, int], str] = {}
    for host in fleet.hosts.values():
        endpoint = (host.address, host.port or fleet.ssh.port or 22)
        if endpoint in taken:
            yield fleet.document.problem(
                ("hosts", host.name, "address"),
                f"is {host.address}, the address of '{taken[endpoint]}' too.",
                "Keep one entry per machine: it can serve several models and roles.",
            )
        taken.setdefault(endpoint, host.name)


def _all_addresses(fleet: Fleet) -> Iterator[tuple[Key, str]]:
    """Yield every address of the fleet file with its key."""
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
        # First, so that other servers are reported: a firewall rule for this port would block SSH.
        (("hosts", host.name, "port"), "sshd", (host.name,), host.port or fleet.ssh.port or 22)
        for host in fleet.hosts.values()
    ]
    listeners += (listener for engine in ENGINES.values() for listener in engine.listeners(fleet))
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
    for key, server, names, port in listeners:
        for name in names:
            if (name, port) in taken:
                yield fleet.document.problem(
                    key,
                    f"is {port}, which {taken[name, port]} uses on {name}.",
                    f"Choose another port, for example {port + 1}.",
                )
            taken.setdefault((name, port), server)


def _jumps(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each host with a cycle of jump hosts."""
    for host in fleet.hosts.values():
        visited, jump = {host.name}, host.jump
        while jump and jump in fleet.hosts:
            if jump in visited:
                yield fleet.document.problem(
                    ("hosts", host.name, "jump"),
                    "is in a cycle of jump hosts.",
                    "Remove the jump of a host that the controller reaches directly.",
                )
                break
            visited.add(jump)
            jump = fleet.hosts[jump].jump


def _reserved(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each name that pyinfra's --limit interprets as a group of hosts."""
    reserved = {
        "hosts": "pyinfra's group of all hosts",
        fleet.document.path.stem: "this file's name, pyinfra's group of all its hosts",
    }
    names = fleet.document.names("hosts")
    for host in fleet.hosts.values():
        if host.name in reserved:
            yield fleet.document.problem(
                ("hosts", host.name),
                f"is {reserved[host.name]}: `--limit {host.name}` would select all hosts.",
                "Choose another name.",
            )
        for index, label in enumerate(host.labels):
            key: Key = ("hosts", host.name, "labels", index)
            if label in ("all", "hosts"):
                yield fleet.document.problem(
                    key, f"'{label}' is pyinfra's group of all hosts.", "Choose another label."
                )
            elif label != host.name and label in names:
                yield fleet.document.problem(
                    key,
                    f"'{label}' is the name of another host: `--limit {label}` would select both.",
                    "Choose another label.",
                )


def _drivers(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each driver of a host without GPUs."""
    for host in fleet.hosts.values():
        if host.driver and not host.gpus:
            yield fleet.document.problem(
                ("hosts", host.name, "driver"),
                "is set, but this host has no 'gpus'.",
                "Add the number of GPUs, for example gpus: {count: 8}, or remove the driver.",
            )


def _intermittent(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each host that may be off, and must not be."""
    needed = dict(_needed(fleet))
    for host in fleet.hosts.values():
        if not host.intermittent:
            continue
        key: Key = ("hosts", host.name, "intermittent")
        if host.is_local:
            yield fleet.document.problem(
                key, "is true, but this machine is on while it runs Mirrorfleet.", "Remove it."
            )
        elif host.name in needed:
            yield fleet.document.problem(
                key,
                f"is true, but {host.name} {needed[host.name]}: it must be on in every run.",
                "Remove it.",
            )


def _needed(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yield hosts that must be on, each with the reason."""
    for host in fleet.hosts.values():
        for jump in filter(None, (host.jump, fleet.ssh.jump)):
            if jump != host.name:
                yield jump, f"is the jump host of '{host.name}'"
    for model in fleet.models.values():
        if isinstance(model, EngineModel):
            for hosts in model.replicas:
                if len(hosts) > 1:
                    reason = f"is a node of '{model.name}', whose nodes change together"
                    yield from ((name, reason) for name in hosts)
    if gateway := fleet.gateway:
        yield from ((name, "is a gateway") for name in gateway.hosts)
        for store, title in ((gateway.redis, "Redis"), (gateway.database, "Postgres")):
            if store and store.install:
                yield store.install, f"has the gateways' {title}"
    if fleet.load_balancer:
        yield from ((name, "is a load balancer") for name in fleet.load_balancer.hosts)
