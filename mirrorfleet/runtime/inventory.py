"""The inventory of a fleet for pyinfra: its hosts, their plans, and how to log in."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirrorfleet import fleet
from mirrorfleet.config import Fleet, Host
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import (
    host_keys,
    intermittent,
    jump,
    local,
    pyinfra_command,
    pyinfra_speed,
)

LOOKS_EVERY = 5
"""Seconds between two looks of a silent connection at its state. paramiko looks ten times a second,
which on a thousand connections takes all of this machine's time."""

LOST_AFTER = 60
"""Seconds without a reply after which a connection counts as lost."""

Inventory = list[tuple[str, dict[str, Any]]]


def groups(module: str | Path) -> dict[str, list[Any]]:
    """Return pyinfra's groups for the fleet file beside an inventory module: hosts, and labels.

    The data ``plan`` of each host is its plan. A fleet file with mistakes ends the program with all
    mistakes and no traceback. So does a missing known_hosts file, unless pyinfra only shows the
    inventory, and a misuse of pyinfra's command: see `pyinfra_command.py`.
    """
    pyinfra_speed.apply()
    try:
        loaded = fleet.load(Path(module).with_suffix(".yml"))
    except fleet.FleetError as error:
        sys.exit(str(error))
    for warning in loaded.warnings:
        print(warning, file=sys.stderr)
    # Without a handler, Python prints paramiko's tracebacks of lost connections. pyinfra tries them
    # again, and then reports one line.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    # A fleet of which only the releases are read cannot be planned.
    plans = {} if loaded.any_release else fleet.plan(loaded).hosts
    labels: dict[str, list[str]] = {}
    for host in loaded.hosts.values():
        for label in host.labels:
            labels.setdefault(label, []).append(_target(host, plans))
    names = ("hosts", Path(module).stem, *labels)
    pyinfra_command.check(loaded.hosts, names)
    missing = list(host_keys.problems(loaded))
    # A misspelt --limit comes first: it is reported when all hosts are known.
    if missing and not pyinfra_command.connects_to_none([*loaded.hosts, *names]):
        sys.exit("\n".join(map(str, missing)))
    hosts = _inventory(loaded, plans)
    # All present objects live until the end of the program. Garbage collection of them, the last
    # time at exit, would take a sixth of the time of a run without changes.
    gc.freeze()
    return {"hosts": hosts, **labels}


def _inventory(loaded: Fleet, plans: Mapping[str, HostPlan]) -> Inventory:
    """Return the hosts with login, and with their plans if there are any."""
    file = str(loaded.document.path.resolve())
    return [
        (
            _target(host, plans),
            {
                **({"plan": plans[host.name]} if plans else {}),
                "fleet_file": file,
                **_login(loaded, host),
            },
        )
        for host in loaded.hosts.values()
    ]


def _target(host: Host, plans: Mapping[str, HostPlan]) -> str:
    """Return the host's name for pyinfra, which has the connector if that is not SSH."""
    if host.is_local:
        return f"@{local.CONNECTOR}/{host.name}"
    if plans and plans[host.name].intermittent:
        return f"@{intermittent.CONNECTOR}/{host.name}"
    return host.name


def _login(spec: Fleet, host: Host) -> dict[str, Any]:
    user = host.user or spec.ssh.user
    is_root = os.geteuid() == 0 if host.is_local else user == "root"
    become = host.become or spec.ssh.become or ("none" if is_root else "sudo")
    root = {"_sudo": become == "sudo", "_doas": become == "doas"}
    if host.is_local:
        return root
    login: dict[str, Any] = {
        "ssh_hostname": host.address,
        "ssh_user": user,
        "ssh_port": host.port or spec.ssh.port,
        "ssh_key": spec.ssh.key and str(spec.ssh.key),
        "ssh_known_hosts_file": spec.ssh.known_hosts and str(spec.ssh.known_hosts),
        # pyinfra's default would accept any new key and override the user's own configuration.
        "ssh_strict_host_key_checking": "yes",
        "ssh_connect_retries": 3,
        "ssh_paramiko_connect_kwargs": {"transport_factory": _transport},
        **root,
        **_jump(spec, host),
    }
    return {key: value for key, value in login.items() if value is not None}


def _jump(spec: Fleet, host: Host) -> dict[str, Any]:
    content = jump.configuration(spec, host)
    return {"ssh_config_file": jump.file(content)} if content else {}


def _transport(sock: Any, **arguments: Any) -> Any:
    """Return a transport that sends small packets at once and detects a lost host."""
    from paramiko import Channel, Transport

    wire = sock
    while isinstance(wire, Channel):  # via a jump host: use the connection to that host
        wire = wire.get_transport().sock
    if isinstance(wire, socket.socket):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_AFTER * 1000)
    # Not compressed: large files are packed already. Compression would save 3 of the 10 kB of a run
    # without changes, and take a third more CPU time on this machine.
    transport = Transport(sock, **arguments)
    transport.sock.settimeout(LOOKS_EVERY)
    # A long command sends no packets: only keepalives can detect a lost host.
    transport.set_keepalive(LOST_AFTER // 4)
    return transport
