"""An external gateway, and what a fleet file cannot decide for it.

Somebody else operates it: it has its own routes, fallbacks and keys. This file describes its models
and refers to its keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import ExternalGateway, Fleet, GatewayModel, ProviderModel
from mirrorfleet.config.addresses import before_v1, is_loopback
from mirrorfleet.config.problems import Key, Problem

PEOPLE = ("rotation", "expires", "models")
"""Keys below ``keys.people`` that limit a key which the gateways of a fleet check."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.external_gateway
    if gateway is None:
        yield from _without(fleet)
        return
    yield from _url(fleet, gateway)
    yield from _models(fleet, gateway)
    yield from _decided_there(fleet)
    yield from _keys(fleet)
    if not fleet.developers and not fleet.document.says("developers"):
        yield fleet.document.warning(
            ("gateway",),
            "has no effect: Mirrorfleet configures only the clients of an external gateway.",
            "Add 'developers'.",
            given=(("developers",),),
        )


def _without(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each model that only an external gateway could serve."""
    for model in fleet.models.values():
        if isinstance(model, GatewayModel) and ("gateway",) not in fleet.document.lost:
            yield fleet.document.problem(
                ("models", model.name),
                "has neither 'engine' nor 'provider'.",
                "Add engine: vllm or engine: ollama with 'hosts' to install one, 'url' for one "
                "that runs, or 'provider'.",
                given=(("gateway",),),
            )


def _url(fleet: Fleet, gateway: ExternalGateway) -> Iterator[Problem]:
    key: Key = ("gateway", "url")
    if base := before_v1(gateway.url):
        yield fleet.document.problem(
            key,
            f"is '{gateway.url}', but Claude Code appends /v1/messages itself.",
            f"Write {base}.",
        )
    host = gateway.url.split("://", 1)[1].split("/")[0].rsplit(":", 1)[0].strip("[]")
    if gateway.url.startswith("http://") and not is_loopback(host):
        yield fleet.document.warning(
            key,
            f"is {gateway.url}, without TLS: prompts and keys can be read on the way.",
            "Write an https URL, if the gateway has one.",
        )


def _models(fleet: Fleet, gateway: ExternalGateway) -> Iterator[Problem]:
    for model in fleet.models.values():
        described = f"{{context: {model.context}, output: {model.output}}}"
        place: Key = ("models", model.name)
        if isinstance(model, ProviderModel):
            yield fleet.document.problem(
                place,
                f"is at a provider, but the gateway at {gateway.url} decides which, and has its "
                "key.",
                f"Write {model.name}: {described}, and claude: true if it is Claude.",
            )
        elif model.url and not isinstance(model, GatewayModel):
            yield fleet.document.problem(
                (*place, "url"),
                f"is an engine's, but only the gateway at {gateway.url} uses engines.",
                f"Write {model.name}: {described}.",
            )


def _decided_there(fleet: Fleet) -> Iterator[Problem]:
    kinds = ("context_window_fallbacks", "content_policy_fallbacks")
    for name in ("load_balancer", "front", *kinds):
        if (name,) in fleet.document.places:
            yield fleet.document.problem(
                (name,),
                "has no effect: the gateway is external, and its operator decides this.",
                "Remove it.",
                given=(("gateway",),),
            )


def _keys(fleet: Fleet) -> Iterator[Problem]:
    """Yield a problem for each key that changes keys at the gateway."""
    own: list[Key] = [("keys", name) for name in ("root", "rotation", "grace", "revoked")]
    own += [("keys", "people", name, key) for name in fleet.keys.people for key in PEOPLE]
    own += [
        ("developers", name, key) for name in fleet.developers for key in ("rotation", "expires")
    ]
    for key in own:
        if key in fleet.document.places:
            yield fleet.document.problem(
                key,
                "has no effect: the gateway is external, and makes, limits and revokes its keys.",
                "Remove it, and refer to keys that it made: developers.<group>.key or "
                "keys.people.<person>.key.",
                given=(("gateway",),),
            )
