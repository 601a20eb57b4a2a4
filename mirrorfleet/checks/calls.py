"""Time limits of single models that contradict each other or those of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config import Calls, Fleet, Gateway, ProviderModel
from mirrorfleet.config.problems import Key, Problem


def problems(fleet: Fleet) -> Iterator[Problem]:
    if fleet.gateway is None:
        return
    for name, outer in fleet.calls.items():
        model = fleet.models[name]
        places: list[tuple[Key, Calls]] = [(("models", name), outer)]
        if isinstance(model, ProviderModel) and len(model.deployments) > 1:
            places += [(each.key, each.calls.over(outer)) for each in model.deployments]
        for key, calls in places:
            yield from _limits(fleet, fleet.gateway, key, calls)


def _limits(fleet: Fleet, gateway: Gateway, key: Key, calls: Calls) -> Iterator[Problem]:
    longest = calls.timeout or gateway.timeout
    given: tuple[Key, ...] = ((*key, "timeout"), ("gateway", "timeout"))
    if calls.stream_timeout and calls.stream_timeout > longest:
        yield fleet.document.problem(
            (*key, "stream_timeout"),
            f"is {calls.stream_timeout} s, longer than the timeout ({longest} s).",
            f"Write {longest} or less, or increase timeout.",
            given=given,
        )
    if calls.timeout and gateway.stop_timeout and gateway.stop_timeout < calls.timeout:
        yield fleet.document.problem(
            (*key, "timeout"),
            f"is {calls.timeout} s, longer than gateway.stop_timeout ({gateway.stop_timeout} s): a "
            "restart would cut requests.",
            f"Write {gateway.stop_timeout} or less, or increase gateway.stop_timeout.",
            given=(("gateway", "stop_timeout"),),
        )
