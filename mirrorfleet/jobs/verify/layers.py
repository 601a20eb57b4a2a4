"""Pure: how engines and gateways are by their own account, to know where a turn fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.jobs.verify.questions import (
    engine_models,
    gateway_models,
    ollama_url,
    reached,
    readiness_url,
)
from mirrorfleet.planning import HostPlan, LitellmPlan
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
        unit = f"mirrorfleet-vllm-{engine.model}.service"
        if not engine.answers:
            faults = list(_stopped("engine", plan.name, unit, observed))
            yield Layer("vLLM node", plan.name, (engine.model,), tuple(faults))
            continue
        answer = _answer(observed, engine_models(plan, engine.model))
        windows = {each["id"]: each.get("max_model_len") for each in answer.get("data", ())}
        faults = list(_dead("engine", plan.name, unit, observed, answer))
        if not faults and engine.model not in windows:
            cause = f"vLLM on {plan.name} serves {_some(windows)}, not '{engine.model}'"
            faults.append(Fault("engine", cause, MIRROR))
        elif not faults and windows[engine.model] != engine.context:
            cause = f"'{engine.model}' on {plan.name} has a window of {windows[engine.model]}, not "
            faults.append(Fault("engine", f"{cause}{engine.context}", MIRROR))
        yield Layer("vLLM", plan.name, (engine.model,), tuple(faults))
    if plan.ollama:
        answer = _answer(observed, Answer(ollama_url(plan)))
        listed = {each["name"].removesuffix(":latest") for each in answer.get("models", ())}
        models = tuple(each.model for each in plan.ollama.models)
        faults = list(_dead("engine", plan.name, "mirrorfleet-ollama.service", observed, answer))
        if not faults:
            faults += [
                Fault("engine", f"Ollama on {plan.name} has no model '{model}'", MIRROR)
                for model in models
                if model not in listed
            ]
        yield Layer("Ollama", plan.name, models, tuple(faults))
    if plan.gateway:
        yield _gateway(plan.name, plan.gateway, observed)


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
    for model, engines in reached(gateway).items():
        for urls in engines:
            if not any(observed[Answer(url)] is not None for url in urls):
                base = urls[0].removesuffix("/version")
                cause = f"from {host} nothing answers at {base}, where '{model}' is served"
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
