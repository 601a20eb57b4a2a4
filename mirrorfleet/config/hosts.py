"""The machines of a fleet, and how the controller logs in to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mirrorfleet.config.reader import Section

Become = Literal["sudo", "doas", "none"]


@dataclass(frozen=True)
class Login:
    """What is said under ``ssh`` for all hosts, or by one host for itself."""

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
    name: str
    address: str
    gpus: int
    cuda_compat: str | None
    driver: str | None
    labels: tuple[str, ...]
    firewall: bool


def ssh(said: Section) -> Ssh:
    return Ssh(
        user=said.get("user"),
        port=said.get("port"),
        jump=said.get("jump"),
        become=said.get("become"),
        key=said.path("key"),
        known_hosts=said.path("known_hosts"),
    )


def host(said: Section) -> Host:
    return Host(
        name=said.name,
        address=said["address"],
        port=said.get("port"),
        user=said.get("user"),
        jump=said.get("jump"),
        become=said.get("become"),
        gpus=said.section("gpus").get("count", 0),
        cuda_compat=said.section("gpus").get("cuda_compat"),
        driver=said.get("driver"),
        labels=said.words("labels"),
        firewall=said.get("firewall") != "none",
    )


def chosen(said: Section, hosts: Mapping[str, Host]) -> tuple[str, ...]:
    """Return the hosts that ``hosts`` of a section names, or that have all of its labels."""
    wanted = said["hosts"]
    if isinstance(wanted, list):
        return tuple(wanted)
    labels = set(wanted["labels"])
    return tuple(host.name for host in hosts.values() if labels.issubset(host.labels))
