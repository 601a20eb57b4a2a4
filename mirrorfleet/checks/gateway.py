"""Gateways without models, without a reachable address, or with conflicting options."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.checks import advisories
from mirrorfleet.config import Fleet, Gateway, ProviderModel
from mirrorfleet.config.addresses import before_v1, is_any, is_loopback
from mirrorfleet.config.advisories import LITELLM
from mirrorfleet.config.problems import Key, Problem

PROCESSES: tuple[Key, ...] = (("gateway", "redis"), ("gateway", "workers"))
"""Keys that decide whether several processes count separately."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        if fleet.developers and not fleet.document.says("gateway"):
            yield fleet.document.problem(
                ("developers",),
                "need a gateway.",
                "Add a 'gateway' section: with 'hosts' to install one, or for one that already "
                "runs: gateway: {url: https://llm.example.com, external: true}",
            )
        return
    if not fleet.document.names("models"):
        if fleet.document.says("models"):
            empty = "is empty: the gateway has no model to route to."
            yield fleet.document.problem(("models",), empty, "Add a model.", given=(("models",),))
        else:
            yield fleet.document.problem(
                ("gateway",), "has no model to route to.", "Add 'models'.", given=(("models",),)
            )
    yield from advisories.problems(fleet, ("gateway", "version"), LITELLM, gateway.version)
    for check in (_addresses, _recycling, _timeouts, _shared, _passthrough):
        yield from check(fleet, gateway)


def _addresses(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """Yield problems of the addresses where gateways listen and developers connect."""
    if len(gateway.hosts) > 1 and not gateway.url and not fleet.load_balancer:
        yield fleet.document.problem(
            ("gateway",),
            f"{len(gateway.hosts)} gateways need one shared address.",
            "Add a 'load_balancer', or set gateway.url to the URL of your own load balancer.",
        )
    if gateway.url and (base := before_v1(gateway.url)):
        yield fleet.document.problem(
            ("gateway", "url"),
            f"is '{gateway.url}', but Claude Code appends /v1/messages itself.",
            f"Write {base}.",
        )
    listen = gateway.listen
    if listen is None:
        return
    if is_loopback(listen) and not gateway.url and not fleet.load_balancer:
        yield fleet.document.problem(
            ("gateway", "listen"),
            f"is {listen}, which developers' machines cannot reach.",
            "Set gateway.url to the URL of your load balancer.",
            given=(("gateway", "url"), ("load_balancer",)),
        )
    elif len(gateway.hosts) > 1 and not is_loopback(listen) and not is_any(listen):
        yield fleet.document.problem(
            ("gateway", "listen"),
            f"is {listen}, but {len(gateway.hosts)} hosts cannot share one address.",
            "Remove it: then each gateway listens on the address of its host.",
        )


def _recycling(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    key: Key = ("gateway", "max_requests_before_restart")
    if not gateway.max_requests_before_restart:
        return
    if gateway.workers == 1:
        yield fleet.document.problem(
            key,
            "restarts the whole gateway each time, because it has one worker.",
            "Write workers: 2 or more, or auto.",
        )


def _timeouts(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    if gateway.stream_timeout and gateway.stream_timeout > gateway.timeout:
        yield fleet.document.problem(
            ("gateway", "stream_timeout"),
            f"is {gateway.stream_timeout} s, longer than gateway.timeout ({gateway.timeout} s).",
            f"Write {gateway.timeout} or less, or increase gateway.timeout.",
            given=(("gateway", "timeout"),),
        )
    if gateway.stop_timeout and gateway.stop_timeout < gateway.timeout:
        yield fleet.document.problem(
            ("gateway", "stop_timeout"),
            f"is {gateway.stop_timeout} s, shorter than gateway.timeout ({gateway.timeout} s): a "
            "restart would cut requests.",
            f"Write {gateway.timeout} or more, or decrease gateway.timeout.",
            given=(("gateway", "timeout"),),
        )


def _shared(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    """Yield problems of options that count per process, if several processes have no Redis."""
    if gateway.redis or gateway.processes < 2:
        return
    if gateway.limits.models:
        yield fleet.document.problem(
            ("gateway", "limits", "models"),
            f"would apply to each of {gateway.processes} or more processes separately.",
            "Add gateway.redis, so that they share their counts.",
            given=PROCESSES,
        )
    strategy = gateway.routing.strategy
    if gateway.routing.affinity:
        yield fleet.document.warning(
            ("gateway", "routing", "affinity"),
            "is stored per process: the next request may go to another deployment.",
            "Add gateway.redis, so that the processes share it.",
            given=PROCESSES,
        )
    if strategy not in ("simple-shuffle", "cost-based-routing"):
        yield fleet.document.warning(
            ("gateway", "routing", "strategy"),
            f"is {strategy}, which counts per process.",
            "Add gateway.redis, so that the processes share their counts.",
            given=PROCESSES,
        )


def _passthrough(fleet: Fleet, gateway: Gateway) -> Iterator[Problem]:
    model = fleet.models.get(gateway.anthropic_passthrough or "")
    if model and not (
        isinstance(model, ProviderModel)
        and all(deployment.provider == "anthropic" for deployment in model.deployments)
    ):
        yield fleet.document.problem(
            ("gateway", "anthropic_passthrough"),
            f"'{model.name}' is not a model of the provider anthropic.",
            "Choose one: the passthrough supports only that provider's API.",
        )
    elif isinstance(model, ProviderModel) and "url" in model.deployments[0].secrets:
        yield fleet.document.problem(
            ("gateway", "anthropic_passthrough"),
            f"'{model.name}' has a reference as its url, but the passthrough needs the URL itself.",
            "Write the URL in the file, or choose another model.",
            given=(model.deployments[0].key,),
        )
