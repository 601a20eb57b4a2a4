"""What every plan of an engine has, and what plans the engines of the fleet file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from mirrorfleet.config import Fleet
from mirrorfleet.planning import ollama, vllm
from mirrorfleet.planning.firewall_rules import EngineRule, FirewallRule


class EnginePlan(Protocol):
    """One server of an engine on a host, or one node's part of it."""

    @property
    def engine(self) -> str:
        """The engine's word in the fleet file."""

    @property
    def service(self) -> str:
        """The name of its service: the unit is ``mirrorfleet-SERVICE.service``."""

    @property
    def listen(self) -> str:
        """The address on which it answers."""

    @property
    def port(self) -> int:
        """The port on which it answers."""

    @property
    def is_head(self) -> bool:
        """Is this where its models are asked, and not another node of it?"""

    @property
    def head_address(self) -> str:
        """The address at which its models are asked, here or on the node that answers."""

    @property
    def windows(self) -> Mapping[str, int]:
        """The models that it serves, each with its window in tokens."""

    @property
    def peers(self) -> tuple[str, ...]:
        """The hosts that serve its models together, this one among them; empty if it is alone."""


class Planner(NamedTuple):
    """What derives the plans of an engine, and the firewall rules of its ports, by host."""

    plans: Callable[[Fleet], Mapping[str, Sequence[EnginePlan]]]
    rules: Callable[[Fleet], Iterable[tuple[str, FirewallRule]]]


PLANNERS: dict[str, Planner] = {
    "vllm": Planner(vllm.plans, vllm.rules),
    "ollama": Planner(ollama.plans, ollama.rules),
}
"""Planners by the engine's word in the fleet file, in the order in which a host starts them."""


def engine_plans(fleet: Fleet) -> dict[str, tuple[EnginePlan, ...]]:
    """Derive the engines of every host that has any."""
    found: dict[str, tuple[EnginePlan, ...]] = {}
    for planner in PLANNERS.values():
        for host, plans in planner.plans(fleet).items():
            found[host] = (*found.get(host, ()), *plans)
    return found


def engine_rules(fleet: Fleet) -> list[tuple[str, FirewallRule]]:
    """Derive the firewall rules of engines by host: first of the ports that answer gateways."""
    found = [each for planner in PLANNERS.values() for each in planner.rules(fleet)]
    return sorted(found, key=lambda each: not isinstance(each[1], EngineRule))
