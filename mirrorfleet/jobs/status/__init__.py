"""How the fleet is: what runs on each host, since when, and what differs from the fleet file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem
from mirrorfleet.jobs.status import table
from mirrorfleet.jobs.status.state import HostState, asked, compared, told
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import registry
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import PATIENCE, Observation, look
from mirrorfleet.runtime.readonly import answers, for_all, write
from mirrorfleet.runtime.role import Role


def report() -> None:
    """Ask all hosts, print their state, and end the program.

    The exit code is 1 if anything differs from the fleet file: what deploys/mirror.py would change,
    or the problems for which it would stop.
    """
    for_all(_report)


def _report(state: State) -> bool:
    found, mute = answers(state, _ask)
    path = next(iter(state.inventory)).data.get("report")
    if path:
        write(path, json.dumps(table.report(found, mute), indent=1) + "\n")
    if path != "-":
        table.show(found, mute)
    return bool(mute) or any(each.faults or each.unknown for each in found.values())


def _ask(each: Host) -> HostState:
    plan: HostPlan = each.data.plan
    unknown: list[str] = []
    facts: list[Fact[Any]] = []
    comparable = []
    for role in (registry.KnownEngines(), *registry.roles()):
        try:
            for fact in role.facts(plan):
                facts.append(fact)  # those before a failure as well
            comparable.append(role)
        except (DeployError, OSError) as error:  # a secret or a lock file that is missing here
            unknown.append(str(error))
    began = time.time()
    lines = look(each, asked(facts), PATIENCE + len(facts) // 10)
    observed, running = told(facts, lines, (began, time.time()))
    problems: list[Problem] = []
    changes: list[str] = []
    for role in comparable:
        try:
            problems += role.problems(plan, observed)
            changes += (change.what for change in role.changes(plan, observed))
        except (DeployError, OSError) as error:
            unknown.append(str(error))
    there = registry.services(plan, observed)
    generations = _generations(comparable, plan, observed)
    return compared(running, observed, there, generations, problems, changes, unknown)


def _generations(roles: Sequence[Role], plan: HostPlan, observed: Observation) -> dict[str, str]:
    """Return which generation of each service the fleet file wants, as far as it can be known."""
    found = {}
    for name, render in (each for role in roles for each in role.desired(plan, observed)):
        with suppress(DeployError, OSError):
            found[name] = render().generation
    return found
