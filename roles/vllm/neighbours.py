"""Hosts of a model that take its weights from each other in a run, instead of each from the hub.

See files/neighbours.py for what they do. A host takes part if this run reaches it and does not skip
its engines. A host with complete weights takes part only while another one needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.planning.vllm import Neighbour, VllmPlan
from mirrorfleet.roles.vllm.facts import Weights
from mirrorfleet.runtime import run, skipped


@dataclass(frozen=True)
class Share:
    """The part of one host in the transfer of one model's weights.

    ``fetch`` names the hosts that need files, in a common order.
    """

    port: int
    me: Neighbour
    others: tuple[Neighbour, ...]
    fetch: tuple[str, ...]

    def request(self, key: str) -> dict[str, Any]:
        """Return the keys of a job for the download program; ``key`` names the weights."""
        peers = [{"name": other.name, "address": other.address} for other in self.others]
        return {"key": key, "fetch": self.fetch, "peers": peers}

    def identity(self) -> Mapping[str, Any]:
        """Return the host's address, key and certificate for this run."""
        from mirrorfleet.runtime.run_certificates import (
            authority,  # cryptography: only for downloads
        )

        issuer = authority()
        return {
            "name": self.me.name,
            "address": self.me.address,
            "port": self.port,
            "authority": issuer.certificate,
            "certificate": issuer.issue(self.me.name, self.me.address),
        }


def share(engine: VllmPlan, fact: Weights) -> Share | None:
    """Return the part of an engine's host; ``None`` if it shares nothing in this run."""
    plan = engine.neighbours
    if plan is None:
        return None
    parts = dict(_parts(engine, fact))
    fetch = tuple(name for name, needs_files in parts.items() if needs_files)
    mine = [each for each in plan.hosts if each.address == engine.listen and each.name in parts]
    others = tuple(each for each in plan.hosts if each.name in parts and each not in mine)
    if not mine or not others or not fetch:
        return None
    return Share(plan.port, mine[0], others, fetch)


def _parts(engine: VllmPlan, fact: Weights) -> Iterator[tuple[str, bool]]:
    """Yield the hosts of the model that take part in the run, and whether they need files."""
    plan = engine.neighbours
    names = {each.name for each in plan.hosts} if plan else set()
    for host in run.hosts():
        observed, host_plan = run.observed_on(host), run.plan_of(host)
        if host_plan.name not in names or observed is None or host in run.state().failed_hosts:
            continue
        if not skipped.is_skipped(host_plan, "engines"):
            yield host_plan.name, observed[fact] != frozenset()
