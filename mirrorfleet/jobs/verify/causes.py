"""Pure: the fault behind a request that was refused: the layer, the cause and the fix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mirrorfleet.jobs.verify import external
from mirrorfleet.jobs.verify.day_outcomes import Outcome
from mirrorfleet.jobs.verify.layers import MIRROR, Fault, Layer
from mirrorfleet.jobs.verify.targets import Target, TargetModel
from mirrorfleet.jobs.verify.turns import Turn


def refused(
    turn: Turn,
    result: Mapping[str, Any],
    target: Target,
    model: TargetModel,
    layers: Sequence[Layer],
) -> list[Fault]:
    """Return the faults behind a turn of the client that was refused, or had no answer."""
    status, message = result.get("api_error_status"), str(result.get("result", ""))
    if target.is_external:
        return [external.fault(status, message, target, model)]
    if result.get("api_error") == "connection_failed" or status is None:
        return _gateway_faults(layers) or [
            Fault(
                "network",
                f"gateway unreachable from {target.host} at {target.url}: {message}",
                "The gateways serve: check DNS, firewalls and proxies between them.",
            )
        ]
    if status == 401 and "apiKeyHelper" in message + turn.err:
        return [Fault("client", f"{target.user}'s key cannot be read", MIRROR)]
    return by_status(status, message, target, model, layers)


def by_status(
    status: Any, message: str, target: Target, model: TargetModel, layers: Sequence[Layer]
) -> list[Fault]:
    """Return the faults behind an answer that is an error."""
    if status in (401, 403):
        cause = f"{status}: the gateway rejects {target.user}'s key"
        return [Fault("gateway", cause, f"{MIRROR} It writes the key on both sides.")]
    if status in (400, 404) and UNKNOWN.search(message):
        return [Fault("gateway", f"the gateway does not have the model '{model.name}'", MIRROR)]
    if TOO_LONG.search(message):
        cause = f"the engine's window is smaller than {target.window}: {message}"
        return [Fault("engine", cause, MIRROR)]
    return model_faults(model, layers) or [
        Fault("engine", f"{status}: {message}", "See the journals of gateway and engine.")
    ]


UNKNOWN = re.compile(r"invalid model|model.* (not found|does not exist)", re.I)
TOO_LONG = re.compile(r"maximum context length|prompt is too long|context window", re.I)


def _gateway_faults(layers: Sequence[Layer]) -> list[Fault]:
    """Return the fault of a load balancer that does not run, else of a gateway that is silent."""
    dead = sorted(
        (layer for layer in layers if layer.dead), key=lambda each: each.kind != "HAProxy"
    )
    return [fault for layer in dead for fault in layer.faults][:1]


def model_faults(model: TargetModel, layers: Sequence[Layer]) -> list[Fault]:
    """Return a fault of the engines of a model, or of the connections to them."""
    engines = [layer for layer in layers if model.name in layer.models and layer.kind != "LiteLLM"]
    found = [fault for layer in engines for fault in layer.faults]
    if found:
        return found[:1]
    connections = [
        fault for layer in layers for fault in layer.faults if f"'{model.name}'" in fault.cause
    ]
    return connections[:1]


def of_day(outcome: Outcome, target: Target, model: TargetModel, layers: Sequence[Layer]) -> Fault:
    """Return the fault of a part of the day."""
    if outcome.status == 200 and outcome.remedy:
        return Fault(
            "gateway" if outcome.item == "web search" else "engine", outcome.cause, outcome.remedy
        )
    [fault, *_] = by_status(outcome.status, outcome.cause, target, model, layers)
    if outcome.cause in fault.cause:
        return Fault(fault.where, f"'{model.name}', {outcome.item}: {fault.cause}", fault.remedy)
    return fault
