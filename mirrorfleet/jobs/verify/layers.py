"""Pure: the state of engines, gateways and load balancers, which shows where a turn fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config.wildcards import has_wildcard
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.jobs.verify import proofs, running
from mirrorfleet.jobs.verify.facts import (
    LOAD_BALANCER,
    engine_models,
    engine_unit,
    engine_urls,
    gateway_models,
    readiness_url,
)
from mirrorfleet.jobs.verify.proofs import Proof
from mirrorfleet.planning import EnginePlan, HostPlan, LitellmPlan
from mirrorfleet.runtime.facts import Answer, Fact, Unit
from mirrorfleet.runtime.observe import Observation

MIRROR = "Run deploys/mirror.py."


@dataclass(frozen=True)
class Fault:
    """A fault: the layer, the cause, and the fix."""

    where: str
    cause: str
    remedy: str


@dataclass(frozen=True)
class Layer:
    """An engine, a gateway or a load balancer on a host. ``dead`` means that it does not answer.

    ``proofs``: what the proof of an engine recorded, for each model.
    """

    kind: str
    host: str
    models: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    dead: bool = False
    proofs: tuple[Proof, ...] = ()


def layers(plan: HostPlan, observed: Observation) -> Iterator[Layer]:
    """Yield the engines, the gateway and the load balancer of a host, with their faults."""
    for engine in plan.engines:
        yield _engine(plan.name, engine, observed)
    if plan.gateway:
        yield _gateway(plan.name, plan.gateway, observed)
        yield from _running(plan.name, plan.gateway, observed)
    if plan.load_balancer:
        faults = tuple(_unit_faults("load balancer", plan.name, LOAD_BALANCER, observed))
        yield Layer("HAProxy", plan.name, (), faults, dead=bool(faults))


def _engine(host: str, plan: EnginePlan, observed: Observation) -> Layer:
    engine, unit, models = ENGINES[plan.engine], engine_unit(plan), tuple(plan.windows)
    if not plan.is_head:
        faults = tuple(_unit_faults("engine", host, unit, observed))
        return Layer(f"{engine.title} node", host, models, faults)
    answer = _answer(observed, engine_models(plan))
    faults = tuple(_answer_faults("engine", host, unit, observed, answer))
    recorded = observed[proofs.fact(plan)]
    return Layer(
        engine.title,
        host,
        models,
        faults or tuple(_model_faults(host, plan, answer)),
        proofs=tuple(proofs.proof(model, recorded.get(model)) for model in models),
    )


def _model_faults(host: str, plan: EnginePlan, answer: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what differs between the models that an engine lists and those of its plan."""
    engine = ENGINES[plan.engine]
    listed = engine.served_windows(answer)
    for model, window in plan.windows.items():
        if model not in listed:
            cause = f"{engine.title} on {host} serves {_listed(listed)}, not '{model}'"
            yield Fault("engine", cause, MIRROR)
        elif listed[model] not in (None, window):
            cause = f"'{model}' on {host} has a window of {listed[model]}, not {window}"
            yield Fault("engine", cause, MIRROR)


def _running(host: str, gateway: LitellmPlan, observed: Observation) -> Iterator[Layer]:
    """Yield the engines that already run, as the host of a gateway finds them."""
    for title, url, model, found, recorded in running.engines(gateway, observed):
        known = () if recorded is None else (proofs.proof(model, recorded),)
        if found is None:
            cause = f"the gateway on {host} has no report on '{model}' at {url}"
            faults = [Fault("gateway", cause, MIRROR)]
        else:
            faults = [
                Fault("engine", f"from {host}, {each['cause']}", each["fix"]) for each in found
            ]
        yield Layer(title, f"{url} from {host}", (model,), tuple(faults), proofs=known)


def _gateway(host: str, gateway: LitellmPlan, observed: Observation) -> Layer:
    answer = _answer(observed, gateway_models(gateway))
    ready = _answer(observed, Answer(readiness_url(gateway)))
    listed = {model["id"] for model in answer.get("data", ())}
    # LiteLLM lists the models that it knows in place of a wildcard.
    names = (route.model for route in gateway.routes if not has_wildcard(route.model))
    desired = tuple(dict.fromkeys(names))
    faults = list(_answer_faults("gateway", host, "mirrorfleet-litellm.service", observed, ready))
    dead = bool(faults)
    if not faults and not answer:
        remedy = f"See journalctl -u mirrorfleet-litellm on {host}."
        faults.append(Fault("gateway", f"LiteLLM on {host} does not list its models", remedy))
    elif not faults:
        faults += [
            Fault("gateway", f"LiteLLM on {host} does not list the model '{model}'", MIRROR)
            for model in desired
            if model not in listed
        ]
    for route, url in engine_urls(gateway):
        if observed[Answer(url)] is None:
            base = route.settings["api_base"]
            cause = f"{base}, which serves '{route.model}', does not answer {host}"
            remedy = (
                "Check the engine's line; if the engine serves, check the firewall between them."
            )
            faults.append(Fault("gateway", cause, remedy))
    return Layer("LiteLLM", host, desired, tuple(faults), dead)


def _answer_faults(
    where: str, host: str, unit: str, observed: Observation, answer: Mapping[str, Any]
) -> Iterator[Fault]:
    stopped = list(_unit_faults(where, host, unit, observed))
    yield from stopped
    if not stopped and not answer:
        remedy = f"It may still be starting: journalctl -u {unit} on {host}."
        yield Fault(where, f"{unit} on {host} is running but not answering", remedy)


def _unit_faults(where: str, host: str, unit: str, observed: Observation) -> Iterator[Fault]:
    found = observed[Unit(unit)]
    if found.active != "active":
        remedy = f"See journalctl -u {unit} on {host}; deploys/mirror.py starts it."
        yield Fault(where, f"{unit} on {host} is {found.active}", remedy)


def _answer(observed: Observation, fact: Fact[bytes | None]) -> dict[str, Any]:
    try:
        answer = json.loads(observed[fact] or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "nothing"
