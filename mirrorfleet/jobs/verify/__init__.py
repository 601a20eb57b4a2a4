"""Ask Claude Code as the developers do, and say which layer fails: for deploys/verify.py.

Nothing is changed on any host. Who is asked, what is told and how it is judged is pure; here are
the connections, one exec on each host, all hosts at a time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs.verify import running, table
from mirrorfleet.jobs.verify.judge import rows
from mirrorfleet.jobs.verify.layers import layers
from mirrorfleet.jobs.verify.questions import Told, asked, facts, patience, told
from mirrorfleet.jobs.verify.seats import Seat, seats
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.observe import look
from mirrorfleet.runtime.readonly import answers, for_all, write

OPTIONS = {"who": "one, or all", "models": "names with commas", "report": "a file, or -"}
"""What can be said with pyinfra's --data."""


def prove() -> None:
    """Ask, print what came of it, and end the program: with 1 where anything fails."""
    for_all(_prove)


def _prove(run: State) -> bool:
    """Ask all hosts, tell what came of it, and return whether anything fails."""
    hosts = {each.name: each for each in run.inventory.get_active_hosts()}
    plans = {name: each.data.plan for name, each in hosts.items()}
    option = _options(next(iter(hosts.values())))
    chosen = seats(plans, everyone=option["who"] == "all", models=option["models"])
    logger.info("--> Asking %s", ", ".join(seat.name for seat in chosen) or "no developer")
    heard, mute = answers(run, lambda each: _ask(each, [s for s in chosen if s.host == each.name]))
    found = [layer for name, each in heard.items() for layer in layers(plans[name], each.observed)]
    lines = [row for seat in chosen for row in rows(seat, heard.get(seat.host), found)]
    if option["report"]:
        write(option["report"], json.dumps(table.report(found, lines, mute), indent=1) + "\n")
    if option["report"] != "-":
        table.show(found, lines, mute)
    return bool(mute) or any(each.faults for each in found) or any(row.faults for row in lines)


def _ask(each: Host, chosen: Sequence[Seat]) -> Told:
    plan: HostPlan = each.data.plan
    seconds = patience(chosen) + running.patience(plan)
    return told(facts(plan), look(each, asked(plan, chosen), seconds))


def _options(each: Host) -> dict[str, Any]:
    who, models, report = (each.data.get(name) for name in OPTIONS)
    if who not in (None, "one", "all"):
        raise DeployError(f"--data who={who}: write {OPTIONS['who']}")
    return {"who": who, "models": str(models).split(",") if models else (), "report": report}
