"""Engines that already run, at URLs that the gateways cannot use or should not."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mirrorfleet.config import EngineModel, Fleet, GatewayModel
from mirrorfleet.config.addresses import before_v1, is_loopback, is_public
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.engines.placement import models_of


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, EngineModel):
        if model.url and not isinstance(model, GatewayModel) and not fleet.external_gateway:
            yield from _path(fleet, model, model.url)
            yield from _address(fleet, model, model.url)


def _path(fleet: Fleet, model: EngineModel, url: str) -> Iterator[Problem]:
    if shorter := before_v1(url):
        yield fleet.document.problem(
            _key(model),
            f"is '{url}', but the gateway adds /v1 itself.",
            f"Write url: {shorter}.",
        )


def _address(fleet: Fleet, model: EngineModel, url: str) -> Iterator[Problem]:
    host = urlsplit(url).hostname or ""
    gateways = fleet.gateway.hosts if fleet.gateway else ()
    if is_loopback(host) and len(gateways) > 1:
        yield fleet.document.problem(
            _key(model),
            f"is {host}, which is another host for each of the {len(gateways)} gateways.",
            "Write the address of the engine's host.",
            given=(("gateway", "hosts"),),
        )
    elif is_public(host) and url.startswith("http://"):
        what = "prompts, answers and the API key" if model.api_key else "prompts and answers"
        yield fleet.document.warning(
            _key(model),
            f"is {url}, an address of the internet without TLS: {what} can be read on the way.",
            "Write an https URL, or a private address.",
        )
    if not fleet.document.says("gateway"):
        yield fleet.document.warning(
            ("models", model.name),
            "has no effect: only gateways use an engine that already runs, and there are none.",
            "Add a 'gateway' section.",
            given=(("gateway",),),
        )


def _key(model: EngineModel) -> Key:
    return ("models", model.name, "url")
