"""Nodes that serve a model together: the network between them, and which of them are in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyinfra.api import Host

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import NodesPlan, VllmPlan
from mirrorfleet.roles.vllm.facts import Card
from mirrorfleet.runtime import deferred_removal, run
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.facts.network import Unreached
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error


def facts(engine: VllmPlan) -> list[Fact[Any]]:
    """Return the facts of a node's network: its interface, and whether it reaches the others."""
    if engine.nodes is None:
        return []
    own = engine.nodes.members[engine.nodes.rank].address
    return [Card(own), *(Unreached(target) for target in _targets(engine.nodes))]


def problems(plan: HostPlan, engine: VllmPlan, observed: Observation) -> Iterator[Problem]:
    """Yield why a node cannot reach the others."""
    if engine.nodes is None:
        return
    own = engine.nodes.members[engine.nodes.rank].address
    card = observed[Card(own)]
    if card is None:
        yield error(
            f"no network interface has the address {own}, at which the other nodes of "
            f"'{engine.model}' connect to this host.",
            f"Set hosts.{plan.name}.address to the address of the interface.",
        )
        return
    for target in _targets(engine.nodes):
        if observed[Unreached(target)]:
            yield error(
                f"no reply from {target.replace(' ', ':')} via {card} within 3 seconds, "
                f"which the nodes of '{engine.model}' need.",
                f"Open ports {engine.nodes.port} and {engine.nodes.port + 1} between them, and "
                "all ports from 32768.",
            )


def _targets(nodes: NodesPlan) -> list[str]:
    """Return the "ADDRESS PORT" to which a node connects: the first to all, all others to it."""
    if nodes.rank:
        return [f"{nodes.members[0].address} {nodes.port + 1}"]
    return [f"{each.address} {nodes.port}" for each in nodes.members[1:]]


def left_out(engine: VllmPlan) -> Iterator[Problem]:
    """Yield why a node cannot change now: another node is not in this run."""
    if engine.nodes is None:
        return
    is_node = is_other_node(engine)
    absent = [
        run.plan_of(host).name for host in deferred_removal.left_out() if is_node(run.plan_of(host))
    ]
    if absent:
        yield error(
            f"all nodes of '{engine.model}' change together, but this run leaves out "
            f"{', '.join(absent)}.",
            "Include all of them in the run.",
        )


def others(engine: VllmPlan) -> list[Host]:
    """Return the other nodes of the model that are in this run."""
    if engine.nodes is None:
        return []
    is_node = is_other_node(engine)
    return [host for host in run.hosts() if run.observed_on(host) and is_node(run.plan_of(host))]


def is_other_node(engine: VllmPlan) -> Callable[[HostPlan], bool]:
    """Return a predicate that selects the plans of the other nodes of the model."""
    if engine.nodes is None:
        raise ValueError(f"{engine.model} has no other nodes")
    names = {member.name for member in engine.nodes.members if member.address != engine.listen}
    return lambda plan: plan.name in names
