"""Measure a session of two turns with every engine, then through every gateway: verify --canary.

No host is changed. This module makes the connections; the others are pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyinfra import logger
from pyinfra.api import Host, State

from mirrorfleet.jobs.canary.facts import MORE, fact
from mirrorfleet.jobs.canary.results import Result, result
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.registry import service_roles
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.observe import parse, read_host, script
from mirrorfleet.runtime.readonly import read_all
from mirrorfleet.runtime.run import active, plan_of
from mirrorfleet.runtime.service_role import ServiceRole


def measure(run: State) -> tuple[list[Result], Mapping[str, str]]:
    """Return the results, and the reason of each host without an answer.

    Services of one role are measured at the same time, gateways one after another: two sessions
    with one engine would disturb each other. A gateway comes after all engines.
    """
    found: list[Result] = []
    failed: dict[str, str] = {}
    for role in service_roles():
        hosts = [host for host in active(run) if any(canaries(role, plan_of(host)))]
        for group in [[host] for host in hosts] if role.rolling else [hosts]:
            if not group:
                continue
            names = ", ".join(host.name for host in group)
            logger.info("--> %s on %s: two turns with each model", role.title, names)
            results, reasons = read_all(run, lambda host: _read(role, group, host))  # noqa: B023
            failed |= reasons
            found += [each for results_of_host in results.values() for each in results_of_host]
    return found, failed


def canaries(role: ServiceRole[object], plan: HostPlan) -> Iterator[Canary]:
    """Yield the canaries of a role's services on a host."""
    for instance in role.instances(plan):
        if found := role.canary(instance):
            yield found


def _read(role: ServiceRole[object], group: list[Host], host: Host) -> list[Result]:
    if host not in group:
        return []
    chosen = list(canaries(role, plan_of(host)))
    facts = [fact(each) for each in chosen]
    seconds = sum(each.seconds + MORE for each in chosen) + 60
    observed = parse(facts, read_host(host, script(facts), seconds))
    return [result(host.name, each, observed[its]) for each, its in zip(chosen, facts, strict=True)]
