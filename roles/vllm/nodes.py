"""Nodes that serve a model together: the network between them, and who takes part in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyinfra.api import Host, State
from pyinfra.context import ctx_state

from mirrorfleet.planning import HostPlan, NodesPlan, VllmPlan
from mirrorfleet.runtime import deferred_removal
from mirrorfleet.runtime.observe import Observation, Question


def questions(engine: VllmPlan) -> list[Question]:
    """What must be known of the network of a node: its card, and whether it reaches the others."""
    if engine.nodes is None:
        return []
    own = engine.nodes.members[engine.nodes.rank].address
    ways = [("unreached", each) for each in _ways(engine.nodes)]
    return [("card", own), *ways]


def refusals(plan: HostPlan, engine: VllmPlan, seen: Observation) -> Iterator[str]:
    """Yield why a node cannot meet the others."""
    if engine.nodes is None:
        return
    own = engine.nodes.members[engine.nodes.rank].address
    if own not in seen.cards:
        yield (
            f"has no network card with the address {own}, by which the other nodes of "
            f"'{engine.model}' reach it. Write hosts.{plan.name}.address as it is on the card."
        )
        return
    for way in _ways(engine.nodes):
        if way in seen.unreached:
            yield (
                f"gets no answer of {way} by {seen.cards[own]} within 3 seconds, where the nodes "
                f"of '{engine.model}' meet. Open ports {engine.nodes.port} and "
                f"{engine.nodes.port + 1} between them, and those above 32767."
            )


def _ways(nodes: NodesPlan) -> list[str]:
    """Return where a node reaches the others: the first asks all, and all join it."""
    if nodes.rank:
        return [f"{nodes.members[0].address} {nodes.port + 1}"]
    return [f"{each.address} {nodes.port}" for each in nodes.members[1:]]


def left_out(engine: VllmPlan) -> Iterator[str]:
    """Yield why a node cannot change now: another one takes no part in this run."""
    if engine.nodes is None:
        return
    is_one = is_other(engine)
    if away := [
        each.data.plan.name for each in deferred_removal.left_out() if is_one(each.data.plan)
    ]:
        yield (
            f"serves '{engine.model}' together with {', '.join(away)}, absent from this run, and "
            "all nodes of a model change together. Run with all of them."
        )


def others(engine: VllmPlan) -> list[Host]:
    """Return the other nodes of the model that take part in this run."""
    if engine.nodes is None:
        return []
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    is_one = is_other(engine)
    return [each for each in run.inventory if each.data.get("seen") and is_one(each.data.plan)]


def is_other(engine: VllmPlan) -> Callable[[HostPlan], bool]:
    """Return what tells the other nodes of the model by their plans."""
    if engine.nodes is None:
        raise ValueError(f"{engine.model} has no other nodes")
    names = {each.name for each in engine.nodes.members if each.address != engine.listen}
    return lambda plan: plan.name in names
