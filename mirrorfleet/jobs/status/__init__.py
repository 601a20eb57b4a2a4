"""The status of the fleet: what runs on each host, since when, and how it differs from its file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem
from mirrorfleet.jobs.rings import record
from mirrorfleet.jobs.rings.outcome import Records
from mirrorfleet.jobs.status import table
from mirrorfleet.jobs.status.state import HostState, compare, host_script, parse_report
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import registry
from mirrorfleet.roles.load_balancer import certificate as certificates
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.intermittent import offline
from mirrorfleet.runtime.observe import TIMEOUT, Observation, read_host
from mirrorfleet.runtime.readonly import read_all, run_once, write
from mirrorfleet.runtime.role import Role


def report() -> None:
    """Read all hosts, print their state, and end the program.

    The exit code is 1 if anything differs from the fleet file: deploys/mirror.py would change it,
    or stop because of a problem.
    """
    run_once(_report)


def _report(state: State) -> bool:
    found, unreachable = read_all(state, _read)
    path = next(iter(state.inventory)).data.get("report")
    if path:
        write(path, json.dumps(table.report(found, unreachable, offline(state)), indent=1) + "\n")
    if path != "-":
        table.show(found, unreachable, offline(state))
    return bool(unreachable) or any(host.faults or host.unknown for host in found.values())


def _read(host: Host) -> HostState:
    plan: HostPlan = host.data.plan
    unknown: list[str] = []
    facts: list[Fact[Any]] = []
    comparable = []
    for role in (registry.KnownEngines(), *registry.roles(), Records()):
        try:
            for fact in role.facts(plan):
                facts.append(fact)  # those before a failure as well
            comparable.append(role)
        except (DeployError, OSError) as error:  # a secret or lock file is missing here
            unknown.append(str(error))
    began = time.time()
    lines = read_host(host, host_script(facts), TIMEOUT + len(facts) // 10)
    observed, running = parse_report(facts, lines, (began, time.time()))
    problems: list[Problem] = []
    changes: list[str] = []
    notes: list[str] = []
    for role in comparable:
        try:
            notes += role.notices(plan, observed)
            problems += role.problems(plan, observed)
            changes += (change.what for change in role.changes(plan, observed))
        except (DeployError, OSError) as error:
            unknown.append(str(error))
    services = registry.services(plan, observed)
    generations = _generations(comparable, plan, observed)
    found = compare(running, observed, services, generations, problems, changes, unknown)
    ring = record.read(observed[record.FACT]) if plan.rollout else None
    balancer = plan.load_balancer
    certificate = certificates.validity(balancer, observed) if balancer else None
    return replace(found, ring=ring, certificate=certificate, notes=tuple(notes))


def _generations(roles: Sequence[Role], plan: HostPlan, observed: Observation) -> dict[str, str]:
    """Return the desired generation of each service, as far as it can be rendered."""
    found = {}
    for name, render in (pair for role in roles for pair in role.desired(plan, observed)):
        with suppress(DeployError, OSError):
            found[name] = render().generation
    return found
