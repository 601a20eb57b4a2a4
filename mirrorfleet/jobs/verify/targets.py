"""Pure: the targets of verify: developers on hosts, and their models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.planning import ClaudePlan, ClientPlan, HostPlan

TIER = "ANTHROPIC_DEFAULT_{}_MODEL"
TIERS = ("opus", "sonnet", "haiku", "fable")


@dataclass(frozen=True)
class TargetModel:
    """A model of a developer, and the tiers of the client that use it.

    ``option`` is the value of `--model`, empty for the model that the settings select.
    """

    name: str
    tiers: tuple[str, ...]
    option: str = ""


@dataclass(frozen=True)
class Target:
    """A developer of a group on a host, and the expected client and settings."""

    host: str
    group: str
    user: str
    scope: str
    command: str
    directory: str
    version: str
    url: str
    window: int
    models: tuple[TargetModel, ...]

    @property
    def name(self) -> str:
        """The target in words, for the output."""
        return f"{self.group} on {self.host} as {self.user}"


def targets(
    plans: Mapping[str, HostPlan], *, everyone: bool = False, models: Iterable[str] = ()
) -> list[Target]:
    """Return the targets: one developer of each group, or everyone.

    A provider's model costs money: unless the settings select it, it is a target only if it is
    among ``models``. If ``models`` is not empty, no other models are targets.
    """
    served = set(engine_models(plans))
    requested = set(models)
    found: dict[str, list[Target]] = {}
    for plan in plans.values():
        if plan.clients is None:
            continue
        for client in plan.clients.users:
            target = _target(plan, plan.clients, client, served, requested)
            if target.models:
                found.setdefault(target.group, []).append(target)
    return [target for group in found.values() for target in (group if everyone else group[:1])]


def engine_models(plans: Mapping[str, HostPlan]) -> Iterator[str]:
    """Yield the models of engines: on hosts of the fleet, and of those that already run."""
    for plan in plans.values():
        for engine in plan.engines:
            yield from engine.windows
        if plan.gateway:
            yield from (route.model for route in plan.gateway.routes if route.running)


def _target(
    plan: HostPlan,
    clients: ClaudePlan,
    client: ClientPlan,
    served: set[str],
    requested: set[str],
) -> Target:
    settings = _settings(clients, client)
    isolated = next((group for group in clients.isolated if group.group == client.group), None)
    environment = settings["env"]
    return Target(
        host=plan.name,
        group=client.group,
        user=client.user,
        scope=client.scope,
        command=isolated.command if isolated else "claude",
        directory=client.directory,
        version=isolated.version if isolated else clients.version or "",
        url=environment["ANTHROPIC_BASE_URL"],
        window=int(environment["CLAUDE_CODE_MAX_CONTEXT_TOKENS"]),
        models=tuple(_models(settings, served, requested)),
    )


def _settings(clients: ClaudePlan, client: ClientPlan) -> Mapping[str, Any]:
    if client.scope == "managed" and clients.managed:
        return clients.managed.settings
    return client.settings


def _models(
    settings: Mapping[str, Any], served: set[str], requested: set[str]
) -> Iterator[TargetModel]:
    own = settings["model"]
    tiers: dict[str, list[str]] = {own: []}
    for tier in TIERS:
        model = settings["env"].get(TIER.format(tier.upper()))
        if model:
            tiers.setdefault(model, []).append(tier)
    for model, names in tiers.items():
        if model in requested or (not requested and (model == own or model in served)):
            yield TargetModel(model, tuple(names), "" if model == own else names[0])
