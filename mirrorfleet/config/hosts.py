"""The hosts of a fleet, and how the controller logs in to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mirrorfleet.config.reader import Section

Become = Literal["sudo", "doas", "none"]

LOCAL = "local"
"""The ``address`` of the machine on which Mirrorfleet runs: it is reached without SSH."""

LOOPBACK = "127.0.0.1"
"""The address of the services of a local host."""


@dataclass(frozen=True)
class Login:
    """SSH login, of all hosts (``ssh``) or of one host. ``None`` where the file has no value."""

    user: str | None
    port: int | None
    jump: str | None
    become: Become | None


@dataclass(frozen=True)
class Ssh(Login):
    key: Path | None
    known_hosts: Path | None


@dataclass(frozen=True)
class Host(Login):
    """``gpu_memory`` is the memory of one GPU in bytes; ``None`` if the file does not have it.

    ``intermittent``: the machine may be off during a run; ``None`` if the file does not say it.

    A local host is this machine: no SSH, and all its services listen on ``LOOPBACK``.
    """

    name: str
    address: str
    gpus: int
    gpu_memory: int | None
    cuda_compat: str | None
    driver: str | None
    labels: tuple[str, ...]
    ring: str | None
    firewall: bool
    intermittent: bool | None
    is_local: bool = False


def ssh(section: Section) -> Ssh:
    """Read ``ssh``."""
    return Ssh(
        user=section.get("user"),
        port=section.get("port"),
        jump=section.get("jump"),
        become=section.get("become"),
        key=section.path("key"),
        known_hosts=section.path("known_hosts"),
    )


def host(section: Section) -> Host:
    """Read one of ``hosts``."""
    gpus = section.mapping("gpus")
    return Host(
        name=section.name,
        address=LOOPBACK if section["address"] == LOCAL else section["address"],
        port=section.get("port"),
        user=section.get("user"),
        jump=section.get("jump"),
        become=section.get("become"),
        gpus=gpus.get("count") or 0,
        gpu_memory=int(memory * 1024**3) if (memory := gpus.get("memory")) else None,
        cuda_compat=gpus.get("cuda_compat"),
        driver=section.get("driver"),
        labels=section.strings("labels"),
        ring=section.get("ring"),
        firewall=section.get("firewall") != "none",
        intermittent=section.get("intermittent"),
        is_local=section["address"] == LOCAL,
    )


def chosen(section: Section, hosts: Mapping[str, Host]) -> tuple[str, ...]:
    """Return the hosts that ``hosts`` of a section lists, or those with all of its labels."""
    listed = section["hosts"]
    if isinstance(listed, list):
        return tuple(listed)
    labels = set(listed["labels"])
    return tuple(host.name for host in hosts.values() if labels.issubset(host.labels))
