"""Gateways that would stop, lie or refuse by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.config import Fleet, Gateway, ProviderModel
from mirrorfleet.config.addresses import before_v1, is_any, is_loopback
from mirrorfleet.config.problems import Key, Problem

PROCESSES: tuple[Key, ...] = (("gateway", "redis"), ("gateway", "workers"))
"""What says whether processes count for themselves."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        if fleet.developers and not fleet.document.says("gateway"):
            yield fleet.document.problem(
                ("developers",), "have no gateway to talk to.", "Add a 'gateway' section."
            )
        return
    if not fleet.document.names("models"):
        if fleet.document.says("models"):
            empty = "is empty, and the gateway has no model to route to."
            yield fleet.document.problem(("models",), empty, "Add a model.", given=(("models",),))
        else:
            yield fleet.document.problem(
                ("gateway",), "has no model to route to.", "Add 'models'.", given=(("models",),)
            )
    yield from advisories.problems(fleet, ("gateway", "version"), "litellm", gateway.version)
    for check in (_reached, _recycling, _timeouts, _shared, _passthrough):
        yield from check(fleet, gateway)


def _reached(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """Where gateways listen, and where developers look for them."""
    if len(gateway.hosts) > 1 and not gateway.url and not fleet.load_balancer:
        yield fleet.document.problem(
            ("gateway",),
            f"has {len(gateway.hosts)} hosts and no 'url'.",
            "Add a 'load_balancer', or write the address of your own load balancer.",
        )
    if gateway.url and (wanted := before_v1(gateway.url)):
        yield fleet.document.problem(
            ("gateway", "url"),
            f"is '{gateway.url}', and Claude Code adds /v1/messages by itself.",
            f"Write {wanted}.",
        )
    listen = gateway.listen
    if listen is None:
        return
    if is_loopback(listen) and not gateway.url and not fleet.load_balancer:
        yield fleet.document.problem(
            ("gateway", "listen"),
            f"is {listen}, which no developer reaches, and there is no 'url'.",
            "Write the address of the load balancer before it as 'url'.",
            given=(("gateway", "url"), ("load_balancer",)),
        )
    elif len(gateway.hosts) > 1 and not is_loopback(listen) and not is_any(listen):
        yield fleet.document.problem(
            ("gateway", "listen"),
            f"is {listen}, and {len(gateway.hosts)} hosts cannot have the same address.",
            "Remove it: each gateway then listens on the address of its host.",
        )


def _recycling(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    key: Key = ("gateway", "max_requests_before_restart")
    if not gateway.max_requests_before_restart:
        return
    if gateway.workers == 1:
        yield fleet.document.problem(
            key,
            "would stop the whole gateway each time: its only worker is the server.",
            "Write workers: 2 or more, or auto.",
        )


def _timeouts(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    if gateway.stream_timeout and gateway.stream_timeout > gateway.timeout:
        yield fleet.document.problem(
            ("gateway", "stream_timeout"),
            f"is {gateway.stream_timeout}, more than the {gateway.timeout} of the whole request.",
            f"Write {gateway.timeout} or less, or a longer 'timeout'.",
            given=(("gateway", "timeout"),),
        )
    if gateway.stop_timeout and gateway.stop_timeout < gateway.timeout:
        yield fleet.document.problem(
            ("gateway", "stop_timeout"),
            f"is {gateway.stop_timeout}, less than the {gateway.timeout} that a turn may take.",
            f"Write {gateway.timeout} or more, or a shorter 'timeout'.",
            given=(("gateway", "timeout"),),
        )


def _shared(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """What each process would count for itself, where no Redis counts for all."""
    if gateway.redis or gateway.processes < 2:
        return
    if gateway.limits.models:
        yield fleet.document.problem(
            ("gateway", "limits", "models"),
            f"would hold for each of {gateway.processes} processes or more by itself.",
            "Add 'redis', which they share.",
            given=PROCESSES,
        )
    strategy = gateway.routing.strategy
    if gateway.routing.affinity:
        yield fleet.document.warning(
            ("gateway", "routing", "affinity"),
            "is remembered by each process for itself: the next request may go elsewhere.",
            "Add 'redis', which they share.",
            given=PROCESSES,
        )
    if strategy not in ("simple-shuffle", "cost-based-routing"):
        yield fleet.document.warning(
            ("gateway", "routing", "strategy"),
            f"'{strategy}' counts in each process what that one has seen.",
            "Add 'redis', which they share.",
            given=PROCESSES,
        )


def _passthrough(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    model = fleet.models.get(gateway.anthropic_passthrough or "")
    if model and not (isinstance(model, ProviderModel) and model.provider == "anthropic"):
        yield fleet.document.problem(
            ("gateway", "anthropic_passthrough"),
            f"names '{model.name}', which is no model of the provider anthropic.",
            "Name one: the passthrough speaks to that API alone.",
        )
