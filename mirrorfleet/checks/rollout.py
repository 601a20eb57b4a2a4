"""Rings that nothing belongs to, that no client can prove, or that share a machine."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Fleet, Rollout
from mirrorfleet.config.problems import Key, Problem, did_you_mean


def problems(fleet: Fleet) -> Iterator[Problem]:
    rollout = fleet.rollout
    if rollout is None:
        for key, _ in _named(fleet):
            yield fleet.document.problem(
                key,
                "has no effect, because the file lists no rings.",
                "Add rollout: {rings: [canary, rest]}, or remove it.",
                given=(("rollout",),),
            )
        return
    for key, ring in _named(fleet):
        if ring not in rollout.rings:
            yield fleet.document.problem(
                key,
                f"ring '{ring}' is not in rollout.rings.",
                did_you_mean(ring, rollout.rings),
                given=(("rollout", "rings"),),
            )
    yield from _hosts_without_a_gateway(fleet)
    yield from _packaged(fleet)
    yield from _shared_machines(fleet, rollout)
    yield from _empty_rings(fleet, rollout)
    yield from _mixed(fleet, rollout)


def _named(fleet: Fleet) -> Iterator[tuple[Key, str]]:
    """Yield each ring that the file names, with its key."""
    for host in fleet.hosts.values():
        if host.ring:
            yield ("hosts", host.name, "ring"), host.ring
    for group in fleet.developers.values():
        if group.ring:
            yield ("developers", group.name, "ring"), group.ring


def _hosts_without_a_gateway(fleet: Fleet) -> Iterator[Problem]:
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    for host in fleet.hosts.values():
        if host.ring and host.name not in gateways:
            yield fleet.document.problem(
                ("hosts", host.name, "ring"),
                f"is the ring of a gateway, but {host.name} is not in gateway.hosts.",
                "Remove it; for a developers' machine, write 'ring' in its group.",
                given=(("gateway", "hosts"),),
            )


def _packaged(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        if group.ring and not group.hosts and not fleet.load_balancer:
            yield fleet.document.problem(
                ("developers", group.name, "ring"),
                "has no effect: a run changes no machine of this group, and there is no load "
                "balancer that would select a gateway for it.",
                "Remove it.",
                given=(("load_balancer",),),
            )


def _shared_machines(fleet: Fleet, rollout: Rollout) -> Iterator[Problem]:
    """Yield machines with groups of several rings: clients and policy of a machine change once."""
    taken: dict[str, tuple[str, str]] = {}
    for group in fleet.developers.values():
        ring = rollout.of(group.ring)
        for host in group.hosts:
            other, others_ring = taken.setdefault(host, (group.name, ring))
            if others_ring != ring:
                yield fleet.document.problem(
                    ("developers", group.name),
                    f"is in ring '{ring}', but '{other}' on the same machine, {host}, is in ring "
                    f"'{others_ring}'.",
                    f"Write ring: {others_ring}, or move one group to other machines.",
                )
                break


def _empty_rings(fleet: Fleet, rollout: Rollout) -> Iterator[Problem]:
    """Yield rings without a developer's machine: nothing could ask after their change."""
    used = {rollout.of(group.ring) for group in fleet.developers.values() if group.hosts}
    for index, ring in enumerate(rollout.rings):
        if ring not in used:
            yield fleet.document.problem(
                ("rollout", "rings", index),
                f"ring '{ring}' has no developer's machine, so no Claude Code can ask after it "
                "has changed.",
                f"Write ring: {ring} in a group of developers with hosts, or remove the ring.",
                given=(("developers",),),
            )


def _mixed(fleet: Fleet, rollout: Rollout) -> Iterator[Problem]:
    """Yield a warning if the gateways of several rings answer at one address."""
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    rings = {rollout.of(fleet.hosts[name].ring) for name in gateways if name in fleet.hosts}
    if len(rings) > 1 and not fleet.load_balancer:
        yield fleet.document.warning(
            ("rollout",),
            "has gateways in several rings, and only a load_balancer of this file keeps "
            "developers with the gateways of their ring: at another shared address, a gateway "
            "that is being tried answers everybody.",
            "Add load_balancer.",
        )
