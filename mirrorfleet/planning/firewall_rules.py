"""Firewall rules: ports of hosts, and the addresses that may reach them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirrorfleet.config import Fleet
from mirrorfleet.planning.provenance import derived_from


@dataclass(frozen=True)
class FirewallRule:
    """A port, and the sources that may connect to it: addresses, networks, or DNS names."""

    name: str
    port: int
    allowed_sources: tuple[str, ...]


@dataclass(frozen=True)
class EngineRule(FirewallRule):
    """The port of an engine, for one model."""

    name: str = derived_from("models.{name}")
    port: int = derived_from("models.{name}.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts", "firewall.engines")


@dataclass(frozen=True)
class ServerRule(EngineRule):
    """The port of an engine with several models; ``name`` is the engine's name."""

    name: str = derived_from("models.*.engine")
    port: int = derived_from("models.*.port")
    allowed_sources: tuple[str, ...] = derived_from("gateway.hosts", "firewall.engines")

    @property
    def engine(self) -> str:
        return self.name


def engine_clients(fleet: Fleet) -> tuple[str, ...]:
    """Return the addresses that may connect to engines; empty if the file has none."""
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    return addresses(fleet, gateways, fleet.firewall.engines)


def addresses(fleet: Fleet, hosts: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses of ``hosts`` and ``others``, which can be names of hosts or sources."""
    known = {name: host.address for name, host in fleet.hosts.items()}
    return tuple(dict.fromkeys(known.get(source, source) for source in (*hosts, *others)))
