"""Ports of hosts that the firewall guards, and the addresses that reach them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.planning.provenance import comes


@dataclass(frozen=True)
class DoorPlan:
    """A port of a host, and from where it is reached: addresses, networks, names to look up."""

    name: str
    port: int
    admits: tuple[str, ...]


@dataclass(frozen=True)
class EngineDoor(DoorPlan):
    """The port at which an engine answers gateways, for one model."""

    name: str = comes("models.{name}")
    port: int = comes("models.{name}.port")
    admits: tuple[str, ...] = comes("gateway.hosts", "firewall.engines")


@dataclass(frozen=True)
class ServerDoor(EngineDoor):
    """The same for a server with several models; its name is the engine's."""

    name: str = comes("models.*.engine")
    port: int = comes("models.*.port")
    admits: tuple[str, ...] = comes("gateway.hosts", "firewall.engines")

    @property
    def engine(self) -> str:
        return self.name


def engine_clients(fleet: Fleet) -> tuple[str, ...]:
    """Return the addresses that may ask engines, as far as the file names them."""
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    return addresses(fleet, gateways, fleet.firewall.engines)


def addresses(fleet: Fleet, hosts: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses of hosts, and ``others``, in which a host may stand by its name."""
    known = {name: host.address for name, host in fleet.hosts.items()}
    return tuple(dict.fromkeys(known.get(each, each) for each in (*hosts, *others)))
