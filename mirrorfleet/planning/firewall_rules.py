"""Firewall rules: ports of hosts, and the addresses that may reach them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class FirewallRule:
    """A port of a host, and from where it is reached: addresses, networks, names to look up."""

    name: str
    port: int
    allowed_sources: tuple[str, ...]


@dataclass(frozen=True)
class EngineRule(FirewallRule):
    """The port on which an engine answers gateways, for one model."""

    name: str = derived_from("models.{name}")
    port: int = derived_from("models.{name}.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts", "firewall.engines")


@dataclass(frozen=True)
class ServerRule(EngineRule):
    """The same for a server with several models; its name is the engine's."""

    name: str = derived_from("models.*.engine")
    port: int = derived_from("models.*.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts", "firewall.engines")

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
