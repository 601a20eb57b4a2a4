"""Nodes that serve a model together: the network between them, and who takes part in a run."""

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
    """What must be known of the network of a node: its card, and whether it reaches the others."""
    if engine.nodes is None:
        return []
    own = engine.nodes.members[engine.nodes.rank].address
    ways = [Unreached(each) for each in _ways(engine.nodes)]
    return [Card(own), *ways]


def problems(plan: HostPlan, engine: VllmPlan, observed: Observation) -> Iterator[Problem]:
    """Yield why a node cannot reach the others."""
    if engine.nodes is None:
        return
    own = engine.nodes.members[engine.nodes.rank].address
    card = observed[Card(own)]
    if card is None:
        yield error(
            f"no network card has the address {own}, by which the other nodes of '{engine.model}' "
            "reach this host.",
            f"Set hosts.{plan.name}.address to the address on the card.",
        )
        return
    for way in _ways(engine.nodes):
        if observed[Unreached(way)]:
            yield error(
                f"no reply from {way.replace(' ', ':')} via {card} within 3 seconds, "
                f"where the nodes of '{engine.model}' meet.",
                f"Open ports {engine.nodes.port} and {engine.nodes.port + 1} between them, and "
                "those above 32767.",
            )


def _ways(nodes: NodesPlan) -> list[str]:
    """Return where a node reaches the others: the first asks all, and all join it."""
    if nodes.rank:
        return [f"{nodes.members[0].address} {nodes.port + 1}"]
    return [f"{each.address} {nodes.port}" for each in nodes.members[1:]]


def left_out(engine: VllmPlan) -> Iterator[Problem]:
    """Yield why a node cannot change now: another one takes no part in this run."""
    if engine.nodes is None:
        return
    is_one = is_other(engine)
    if away := [
        run.plan_of(each).name for each in deferred_removal.left_out() if is_one(run.plan_of(each))
    ]:
        yield error(
            f"all nodes of '{engine.model}' change together, and this run leaves out "
            f"{', '.join(away)}.",
            "Run with all of them.",
        )


def others(engine: VllmPlan) -> list[Host]:
    """Return the other nodes of the model that take part in this run."""
    if engine.nodes is None:
        return []
    is_one = is_other(engine)
    return [each for each in run.hosts() if run.observed_on(each) and is_one(run.plan_of(each))]


def is_other(engine: VllmPlan) -> Callable[[HostPlan], bool]:
    """Return what tells the other nodes of the model by their plans."""
    if engine.nodes is None:
        raise ValueError(f"{engine.model} has no other nodes")
    names = {each.name for each in engine.nodes.members if each.address != engine.listen}
    return lambda plan: plan.name in names
