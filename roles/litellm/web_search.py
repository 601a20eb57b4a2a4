"""The search service of a gateway, as its host sees it: reachable or not."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm import running
from mirrorfleet.runtime.facts.network import Unreached
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import warning


def facts(gateway: LitellmPlan) -> list[Unreached]:
    """Return whether the service is unreached. A gateway behind a proxy needs no way to it."""
    if gateway.web_search is None or running.has_proxy(gateway):
        return []
    return [running.way(gateway.web_search.address)]


def problems(gateway: LitellmPlan, observed: Observation) -> Iterator[Problem]:
    """Yield a warning if the host does not reach the service: only searches fail without it."""
    for fact in facts(gateway):
        if observed[fact] and gateway.web_search:
            yield warning(
                f"no reply from {gateway.web_search.address} within 3 seconds: "
                "WebSearch would fail.",
                f"Start the search service, and open its port to {gateway.listen}; or set "
                "HTTPS_PROXY in gateway.environment.",
            )
