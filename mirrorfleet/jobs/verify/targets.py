"""Pure: the targets of verify: developers on hosts, and their models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mirrorfleet.jobs.verify.day import Day, day
from mirrorfleet.planning import ClaudePlan, ClientPlan, HostPlan
from mirrorfleet.planning.rollout import CUSTOM_HEADERS

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
    """A developer of a group on a host, and the expected client and settings.

    ``is_external``: somebody else operates the gateway at ``url``. ``kinds`` are the turns; empty
    stands for all. For a ring, ``base_url`` replaces the address and ``headers`` the
    ``own_headers`` of the settings, and ``through`` are the gateways that answer.

    ``environment`` is that of the client's settings. ``days``: the models that are also asked what
    a day holds.
    """

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
    is_external: bool = False
    kinds: tuple[str, ...] = ()
    base_url: str = ""
    headers: str = ""
    own_headers: str = ""
    through: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    days: tuple[Day, ...] = ()

    @property
    def name(self) -> str:
        """The target in words, for the output."""
        return f"{self.group} on {self.host} as {self.user}"


def targets(
    plans: Mapping[str, HostPlan],
    *,
    everyone: bool = False,
    models: Iterable[str] = (),
    fleet: Mapping[str, HostPlan] | None = None,
    with_fallbacks: bool = False,
) -> list[Target]:
    """Return the targets: one developer of each group, or everyone.

    ``fleet`` has the plans of all hosts, if ``plans`` has only those of a `--limit`.
    ``with_fallbacks``: ask the fallbacks of each model too.
    A provider's model costs money: unless the settings select it, it is a target only if it is
    among ``models``. If ``models`` is not empty, no other models are targets.
    """
    everything = plans if fleet is None else fleet
    served = set(engine_models(everything))
    requested = set(models)
    gateway = next((plan.gateway for plan in everything.values() if plan.gateway), None)
    found: dict[str, list[Target]] = {}
    for plan in plans.values():
        if plan.clients is None:
            continue
        for client in plan.clients.users:
            target = _target(plan, plan.clients, client, served, requested)
            names = (model.name for model in target.models)
            days = (
                day(gateway, target.group, name, with_fallbacks=with_fallbacks) for name in names
            )
            target = replace(target, days=tuple(each for each in days if each))
            if target.models:
                found.setdefault(target.group, []).append(target)
    return [target for group in found.values() for target in (group if everyone else group[:1])]


def selectable(plans: Iterable[HostPlan]) -> set[str]:
    """Return the models that developers' sessions start with, or use as a tier."""
    found = set()
    for plan in plans:
        for client in plan.clients.users if plan.clients else ():
            settings = _settings(plan.clients, client) if plan.clients else {}
            tiers = (settings["env"].get(TIER.format(tier.upper())) for tier in TIERS)
            found |= {settings["model"], *filter(None, tiers)}
    return found


def settings_models(plan: HostPlan) -> list[str]:
    """Return all models that the settings of a host's developers select, those of providers too."""
    if plan.clients is None:
        return []
    settings = [_settings(plan.clients, client) for client in plan.clients.users]
    return list(dict.fromkeys(model for each in settings for model in _by_tier(each)))


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
        is_external=clients.external_gateway is not None,
        own_headers=environment.get(CUSTOM_HEADERS, ""),
        environment=environment,
    )


def _settings(clients: ClaudePlan, client: ClientPlan) -> Mapping[str, Any]:
    if client.scope == "managed" and clients.managed:
        return clients.managed.settings
    return client.settings


def _models(
    settings: Mapping[str, Any], served: set[str], requested: set[str]
) -> Iterator[TargetModel]:
    own = settings["model"]
    for model, names in _by_tier(settings).items():
        if model in requested or (not requested and (model == own or model in served)):
            yield TargetModel(model, tuple(names), "" if model == own else names[0])


def _by_tier(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the tiers of each model that settings select, the model of new sessions first."""
    tiers: dict[str, list[str]] = {settings["model"]: []}
    for tier in TIERS:
        if model := settings["env"].get(TIER.format(tier.upper())):
            tiers.setdefault(model, []).append(tier)
    return tiers
