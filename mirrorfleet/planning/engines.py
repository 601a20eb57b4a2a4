"""The protocol of engine plans, and the planners of all engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from mirrorfleet.config import Fleet
from mirrorfleet.planning import ollama, vllm, vllm_memory
from mirrorfleet.planning.firewall_rules import EngineRule, FirewallRule


class EnginePlan(Protocol):
    """One server of an engine on a host, or one node's part of it."""

    @property
    def engine(self) -> str:
        """The engine's name in the fleet file."""

    @property
    def service(self) -> str:
        """The name of its service; the unit is ``mirrorfleet-SERVICE.service``."""

    @property
    def listen(self) -> str:
        """The address it listens on."""

    @property
    def port(self) -> int:
        """The port it listens on."""

    @property
    def is_head(self) -> bool:
        """Whether it serves the API of its models. Further nodes of a model do not."""

    @property
    def head_address(self) -> str:
        """The address of the node that serves the API of its models."""

    @property
    def windows(self) -> Mapping[str, int]:
        """The context window of each model it serves, in tokens."""

    @property
    def peers(self) -> tuple[str, ...]:
        """All hosts that serve its models together, including this one; empty for one host."""


def _no_notices(fleet: Fleet, host: str, engine: object) -> Iterable[str]:
    return ()


class Planner(NamedTuple):
    """Functions that derive the plans of an engine and the firewall rules of its ports, by host.

    ``notices`` concern an engine's plan on a host, and `plan` prints them.
    """

    plans: Callable[[Fleet], Mapping[str, Sequence[EnginePlan]]]
    rules: Callable[[Fleet], Iterable[tuple[str, FirewallRule]]]
    notices: Callable[[Fleet, str, object], Iterable[str]] = _no_notices


PLANNERS: dict[str, Planner] = {
    "vllm": Planner(vllm.plans, vllm.rules, vllm_memory.notices),
    "ollama": Planner(ollama.plans, ollama.rules),
}
"""Planners by the engine's name in the fleet file, in the order of their start on a host."""


def engine_plans(fleet: Fleet) -> dict[str, tuple[EnginePlan, ...]]:
    """Derive the engines of every host that has any, by host."""
    engines: dict[str, tuple[EnginePlan, ...]] = {}
    for planner in PLANNERS.values():
        for host, plans in planner.plans(fleet).items():
            engines[host] = (*engines.get(host, ()), *plans)
    return engines


def engine_notices(fleet: Fleet, host: str, engines: Iterable[EnginePlan]) -> Iterator[str]:
    """Yield the notices about the engines of a host."""
    for engine in engines:
        planner = PLANNERS.get(engine.engine)
        yield from planner.notices(fleet, host, engine) if planner else ()


def engine_rules(fleet: Fleet) -> list[tuple[str, FirewallRule]]:
    """Derive the firewall rules of engines, each with its host: first those for gateways."""
    rules = [rule for planner in PLANNERS.values() for rule in planner.rules(fleet)]
    return sorted(rules, key=lambda rule: not isinstance(rule[1], EngineRule))
