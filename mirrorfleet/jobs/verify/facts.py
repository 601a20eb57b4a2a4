"""The facts about engines and gateways: their units, and the models that they list."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.jobs.verify import proofs, running
from mirrorfleet.planning import EnginePlan, HostPlan, LitellmPlan, Route, http
from mirrorfleet.runtime.facts import Answer, Fact, Lines, Unit, last
from mirrorfleet.runtime.facts.units import SHELL
from mirrorfleet.runtime.paths import ROOT


@dataclass(frozen=True)
class KeyedAnswer(Fact[bytes | None]):
    """A service's answer to a GET request with its key; ``None`` without one within 20 s.

    The key is the ``variable`` in the environment of the current generation below ``directory``.
    The host sends it only if no other unit than ``unit`` listens on ``port``.
    """

    directory: str = field(compare=False)
    variable: str = field(compare=False)
    url: str
    unit: str = field(compare=False)
    port: int = field(compare=False)

    function = "keyed"
    shell = (SHELL, Path(__file__).parent / "keyed.sh")

    def value(self, lines: Lines) -> bytes | None:
        packed = last(lines)
        return None if packed is None else base64.b64decode(packed)


LOAD_BALANCER = "mirrorfleet-front.service"
"""The unit of a load balancer."""


def engine_models(engine: EnginePlan) -> Fact[bytes | None]:
    """Return the fact about the models that an engine lists."""
    url = f"{http(engine.listen, engine.port)}{ENGINES[engine.engine].models_path}"
    variable = ENGINES[engine.engine].key_variable
    if not variable:
        return Answer(url)
    unit = engine_unit(engine)
    return KeyedAnswer(f"{ROOT}/{engine.service}", variable, url, unit, engine.port)


def engine_unit(engine: EnginePlan) -> str:
    """Return the name of an engine's unit."""
    return f"mirrorfleet-{engine.service}.service"


def readiness_url(gateway: LitellmPlan) -> str:
    """Return the URL of a gateway's readiness."""
    return f"{_base(gateway)}/health/readiness"


def gateway_models(gateway: LitellmPlan) -> KeyedAnswer:
    """Return the fact about the models that a gateway lists."""
    return KeyedAnswer(
        directory=f"{ROOT}/litellm",
        variable="LITELLM_MASTER_KEY",
        url=f"{_base(gateway)}/v1/models",
        unit="mirrorfleet-litellm.service",
        port=gateway.port,
    )


def _base(gateway: LitellmPlan) -> str:
    """Return the URL of a gateway on its own host."""
    listen = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(gateway.listen, gateway.listen)
    return http(listen, gateway.port)


def engine_urls(gateway: LitellmPlan) -> Iterator[tuple[Route, str]]:
    """Yield each route to an engine, with a URL of the engine that needs no key."""
    for route in gateway.routes:
        if route.engine and not route.running:
            engine = ENGINES[route.engine]
            path = engine.pooling_path if route.mode else engine.api_path
            base = route.settings["api_base"].removesuffix(path)
            yield route, f"{base}{engine.alive_path}"


def facts(plan: HostPlan) -> Iterator[Fact[Any]]:
    """Yield the facts about the services of a host."""
    for engine in plan.engines:
        yield Unit(engine_unit(engine))
        if engine.is_head:
            yield engine_models(engine)
            yield proofs.fact(engine)
    if plan.gateway:
        yield Unit("mirrorfleet-litellm.service")
        yield Answer(readiness_url(plan.gateway))
        yield gateway_models(plan.gateway)
        yield from (Answer(url) for _, url in engine_urls(plan.gateway))
        yield from running.facts(plan.gateway)
    if plan.load_balancer:
        yield Unit(LOAD_BALANCER)
