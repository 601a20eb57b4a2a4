"""The rings of a host: when its gateway and its developers' machines change, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mirrorfleet.config import Developers, Fleet, Gateway
from mirrorfleet.config.addresses import is_any, is_loopback
from mirrorfleet.config.problems import checked
from mirrorfleet.planning.provenance import Provenance, derived_from
from mirrorfleet.planning.routes import http
from mirrorfleet.planning.setting import Setting, Settings, group_key

HEADER = "X-Mirrorfleet-Ring"
"""The header by which the load balancer sends a client to the gateways of its own ring."""

ONLY = "only"
"""After the ring's name: the load balancer answers 503 if no gateway of the ring is ready."""

CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"


@dataclass(frozen=True)
class RolloutPlan:
    """The rings of what one host has; ``None`` for what it does not have.

    ``rings`` are all rings in their order. ``asked``: the URLs of the gateways of ``clients``, by
    host, that a developer's machine can ask one by one.
    """

    rings: tuple[str, ...] = derived_from("rollout.rings")
    gateway: str | None = derived_from("hosts.{host}.ring", reason="if unset, the last ring")
    load_balancer: str | None = derived_from(
        "rollout.rings", reason="the first ring: all others need it"
    )
    clients: str | None = derived_from("developers", reason="if no group has a ring, the last one")
    asked: Mapping[str, str] = derived_from("gateway.hosts", "hosts", "gateway.port")
    slowdown: float = derived_from("rollout.slowdown")

    @property
    def present(self) -> tuple[str, ...]:
        """Return the rings of the host, in their order."""
        return tuple(
            ring for ring in self.rings if ring in (self.gateway, self.load_balancer, self.clients)
        )


def rollout(fleet: Fleet) -> dict[str, RolloutPlan]:
    """Derive the rings of every host with a gateway, a load balancer or developers."""
    found = fleet.rollout
    if found is None:
        return {}
    gateways = gateway_rings(fleet)
    balancers = fleet.load_balancer.hosts if fleet.load_balancer else ()
    clients = client_rings(fleet)
    return {
        host: RolloutPlan(
            rings=found.rings,
            gateway=gateways.get(host),
            load_balancer=found.rings[0] if host in balancers else None,
            clients=clients.get(host),
            asked=_asked(fleet, clients.get(host)),
            slowdown=found.slowdown,
        )
        for host in dict.fromkeys([*gateways, *balancers, *clients])
    }


def gateway_rings(fleet: Fleet) -> dict[str, str]:
    """Return the ring of each gateway, by host."""
    if fleet.rollout is None or fleet.gateway is None:
        return {}
    return {name: fleet.rollout.of(fleet.hosts[name].ring) for name in fleet.gateway.hosts}


def client_rings(fleet: Fleet) -> dict[str, str]:
    """Return the ring of each developers' machine, by host. The checks guarantee that it is one."""
    if fleet.rollout is None:
        return {}
    groups = fleet.developers.values()
    return {host: fleet.rollout.of(group.ring) for group in groups for host in group.hosts}


def header(fleet: Fleet, group: Developers) -> Settings:
    """Yield the header by which a load balancer of the fleet keeps a group in its ring."""
    if fleet.rollout is None or fleet.load_balancer is None:
        return
    own = group.settings.get("env", {}).get(CUSTOM_HEADERS)
    line = f"{HEADER}: {fleet.rollout.of(group.ring)}"
    keys = (group_key(group, "ring"), "rollout.rings")
    reason = "the load balancer sends the requests to gateways of the same ring"
    yield (
        ("env", CUSTOM_HEADERS),
        Setting(f"{own}\n{line}" if own else line, Provenance(keys, reason)),
    )


def balanced_rings(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    """Return the gateways of each ring with any, for a load balancer."""
    found: dict[str, tuple[str, ...]] = {}
    for name, ring in gateway_rings(fleet).items():
        found[ring] = (*found.get(ring, ()), name)
    return found


def _asked(fleet: Fleet, ring: str | None) -> dict[str, str]:
    """Return the URLs of a ring's gateways, unless a load balancer of the fleet selects them."""
    if ring is None or fleet.load_balancer:
        return {}
    gateway = checked(fleet.gateway, "gateway")
    # A key travels without TLS only where the clients' own URL has none either.
    if gateway.url and not gateway.url.startswith("http:"):
        return {}
    rings = gateway_rings(fleet)
    return {
        name: url
        for name in gateway.hosts
        if rings[name] == ring and (url := _url(fleet, gateway, name))
    }


def _url(fleet: Fleet, gateway: Gateway, host: str) -> str:
    listen = gateway.listen
    if listen is None or is_any(listen):
        listen = fleet.hosts[host].address
    return "" if is_loopback(listen) else http(listen, gateway.port)
