"""Pure: how engines and gateways are by their own account, to know where a turn fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.jobs.verify import running
from mirrorfleet.jobs.verify.questions import (
    engine_models,
    engine_unit,
    gateway_models,
    reached,
    readiness_url,
)
from mirrorfleet.planning import EnginePlan, HostPlan, LitellmPlan
from mirrorfleet.runtime.facts import Answer, Fact, Unit
from mirrorfleet.runtime.observe import Observation

MIRROR = "Run deploys/mirror.py."


@dataclass(frozen=True)
class Fault:
    """What fails: in which layer, why, and what to do."""

    where: str
    cause: str
    remedy: str


@dataclass(frozen=True)
class Layer:
    """An engine or a gateway on a host; ``dead`` where it answers nobody."""

    kind: str
    host: str
    models: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    dead: bool = False


def layers(plan: HostPlan, observed: Observation) -> Iterator[Layer]:
    """Yield the engines and the gateway of a host as they were found."""
    for engine in plan.engines:
        yield _engine(plan.name, engine, observed)
    if plan.gateway:
        yield _gateway(plan.name, plan.gateway, observed)
        yield from _running(plan.name, plan.gateway, observed)


def _engine(host: str, plan: EnginePlan, observed: Observation) -> Layer:
    engine, unit, models = ENGINES[plan.engine], engine_unit(plan), tuple(plan.windows)
    if not plan.is_head:
        faults = tuple(_stopped("engine", host, unit, observed))
        return Layer(f"{engine.title} node", host, models, faults)
    answer = _answer(observed, engine_models(plan))
    faults = tuple(_dead("engine", host, unit, observed, answer))
    return Layer(engine.title, host, models, faults or tuple(_served(host, plan, answer)))


def _served(host: str, plan: EnginePlan, answer: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what differs between the models that an engine lists and those of its plan."""
    engine = ENGINES[plan.engine]
    listed = engine.served_windows(answer)
    for model, window in plan.windows.items():
        if model not in listed:
            cause = f"{engine.title} on {host} serves {_some(listed)}, not '{model}'"
            yield Fault("engine", cause, MIRROR)
        elif listed[model] not in (None, window):
            cause = f"'{model}' on {host} has a window of {listed[model]}, not {window}"
            yield Fault("engine", cause, MIRROR)


def _running(host: str, gateway: LitellmPlan, observed: Observation) -> Iterator[Layer]:
    """Yield the engines that already run, as the host of a gateway finds them."""
    for title, url, model, found in running.engines(gateway, observed):
        if found is None:
            cause = f"the gateway on {host} has no report on '{model}' at {url}"
            faults = [Fault("gateway", cause, MIRROR)]
        else:
            faults = [
                Fault("engine", f"from {host}, {each['cause']}", each["fix"]) for each in found
            ]
        yield Layer(title, f"{url} from {host}", (model,), tuple(faults))


def _gateway(host: str, gateway: LitellmPlan, observed: Observation) -> Layer:
    answer = _answer(observed, gateway_models(gateway))
    ready = _answer(observed, Answer(readiness_url(gateway)))
    listed = {each["id"] for each in answer.get("data", ())}
    wanted = tuple(dict.fromkeys(route.model for route in gateway.routes))
    faults = list(_dead("gateway", host, "mirrorfleet-litellm.service", observed, ready))
    dead = bool(faults)
    if not faults and not answer:
        remedy = f"Its journal says why: journalctl -u mirrorfleet-litellm on {host}."
        faults.append(Fault("gateway", f"LiteLLM on {host} does not list its models", remedy))
    elif not faults:
        faults += [
            Fault("gateway", f"LiteLLM on {host} knows no model '{model}'", MIRROR)
            for model in wanted
            if model not in listed
        ]
    for route, url in reached(gateway):
        if observed[Answer(url)] is None:
            base = route.settings["api_base"]
            cause = f"from {host} nothing answers at {base}, where '{route.model}' is served"
            remedy = "Where the engine serves, a firewall is between them; see its own line."
            faults.append(Fault("gateway", cause, remedy))
    return Layer("LiteLLM", host, wanted, tuple(faults), dead)


def _dead(
    where: str, host: str, unit: str, observed: Observation, answer: Mapping[str, Any]
) -> Iterator[Fault]:
    stopped = list(_stopped(where, host, unit, observed))
    yield from stopped
    if not stopped and not answer:
        remedy = f"It may still be starting: journalctl -u {unit} on {host}."
        yield Fault(where, f"{unit} on {host} runs, and does not answer", remedy)


def _stopped(where: str, host: str, unit: str, observed: Observation) -> Iterator[Fault]:
    found = observed[Unit(unit)]
    if found.active != "active":
        remedy = f"journalctl -u {unit} on {host} says why; deploys/mirror.py starts it."
        yield Fault(where, f"{unit} on {host} is {found.active}", remedy)


def _answer(observed: Observation, fact: Fact[bytes | None]) -> dict[str, Any]:
    try:
        said = json.loads(observed[fact] or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _some(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "nothing"
