"""How the fleet is: what runs on each host, since when, and what differs from the fleet file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress

from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs import services, show
from mirrorfleet.jobs.status import table
from mirrorfleet.jobs.status.state import HostState, asked, compared, told
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import Role
from mirrorfleet.runtime.observe import PATIENCE, Observation, look
from mirrorfleet.runtime.readonly import answers, for_all, write


def tell(*roles: Role) -> None:
    """Ask, print what came of it, and end the program: with 1 where anything is not as it should
    be. ``roles`` are those of deploys/mirror.py: what they would change or refuse is told."""
    for_all(lambda run: _tell(run, roles))


def _tell(run: State, roles: Sequence[Role]) -> bool:
    found, mute = answers(run, lambda each: _ask(each, roles))
    report = next(iter(run.inventory)).data.get("report")
    if report:
        write(report, json.dumps(table.report(found, mute), indent=1) + "\n")
    if report != "-":
        table.show(found, mute)
    return bool(mute) or any(each.faults or each.unknown for each in found.values())


def _ask(each: Host, roles: Sequence[Role]) -> HostState:
    plan: HostPlan = each.data.plan
    facts = [fact for role in roles for fact in role.questions(plan)]
    began = time.time()
    lines = look(each, asked(facts), PATIENCE + len(facts) // 10)
    observed, running = told(facts, lines, (began, time.time()))
    differs: list[str] = []
    unknown: list[str] = []
    for role in roles:
        try:
            refusals = [*role.refusals(plan, observed)]
            differs += [*refusals, *(change.what for change in role.changes(plan, observed))]
        except DeployError as error:  # a secret that this machine does not have, as a rule
            unknown.append(str(error))
    there = services.installed(plan, observed)
    return compared(running, observed, there, _generations(plan, observed), differs, unknown)


def _generations(plan: HostPlan, observed: Observation) -> dict[str, str]:
    """Return which generation of each service the fleet file wants, as far as it can be known."""
    found = {}
    for make in show.makers(plan, observed):
        with suppress(DeployError):
            service = make()
            found[service.name] = service.generation
    return found
