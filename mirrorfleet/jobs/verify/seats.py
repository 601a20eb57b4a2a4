"""Pure: which developers are asked, where, and for which models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.planning import ClaudePlan, ClientPlan, HostPlan

TIER = "ANTHROPIC_DEFAULT_{}_MODEL"
TIERS = ("opus", "sonnet", "haiku", "fable")


@dataclass(frozen=True)
class Line:
    """One line of the table: a model, and the tiers by which a developer asks for it.

    ``asked`` is the word for `--model`; empty where the settings alone decide, as in most sessions.
    """

    model: str
    tiers: tuple[str, ...]
    asked: str = ""


@dataclass(frozen=True)
class Seat:
    """A developer of a group on a host, and what the client is to be like there."""

    host: str
    group: str
    user: str
    scope: str
    command: str
    directory: str
    version: str
    url: str
    window: int
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        return f"{self.group} on {self.host} as {self.user}"


def seats(
    plans: Mapping[str, HostPlan], *, everyone: bool = False, models: Iterable[str] = ()
) -> list[Seat]:
    """Return whom to ask: one developer of each group, or everyone.

    A provider's model costs money: one that is not a group's own is asked only if it is among
    ``models``. Where these are said, no others are asked.
    """
    ours = set(engines(plans))
    said = set(models)
    found: dict[str, list[Seat]] = {}
    for plan in plans.values():
        if plan.clients is None:
            continue
        for client in plan.clients.users:
            seat = _seat(plan, plan.clients, client, ours, said)
            if seat.lines:
                found.setdefault(seat.group, []).append(seat)
    return [seat for group in found.values() for seat in (group if everyone else group[:1])]


def engines(plans: Mapping[str, HostPlan]) -> Iterator[str]:
    """Yield the models of engines: on hosts of the fleet, and of those that already run."""
    for plan in plans.values():
        for engine in plan.engines:
            yield from engine.windows
        if plan.gateway:
            yield from (route.model for route in plan.gateway.routes if route.running)


def _seat(
    plan: HostPlan, clients: ClaudePlan, client: ClientPlan, ours: set[str], said: set[str]
) -> Seat:
    settings = _settings(clients, client)
    isolated = next((each for each in clients.isolated if each.group == client.group), None)
    environment = settings["env"]
    return Seat(
        host=plan.name,
        group=client.group,
        user=client.user,
        scope=client.scope,
        command=isolated.command if isolated else "claude",
        directory=client.directory,
        version=isolated.version if isolated else clients.version or "",
        url=environment["ANTHROPIC_BASE_URL"],
        window=int(environment["CLAUDE_CODE_MAX_CONTEXT_TOKENS"]),
        lines=tuple(_lines(settings, ours, said)),
    )


def _settings(clients: ClaudePlan, client: ClientPlan) -> Mapping[str, Any]:
    if client.scope == "managed" and clients.managed:
        return clients.managed.settings
    return client.settings


def _lines(settings: Mapping[str, Any], ours: set[str], said: set[str]) -> Iterator[Line]:
    own = settings["model"]
    tiers: dict[str, list[str]] = {own: []}
    for tier in TIERS:
        model = settings["env"].get(TIER.format(tier.upper()))
        if model:
            tiers.setdefault(model, []).append(tier)
    for model, names in tiers.items():
        if model in said or (not said and (model == own or model in ours)):
            yield Line(model, tuple(names), "" if model == own else names[0])
