"""Run Claude Code as the developers do, and report which layer fails: for deploys/verify.py.

No host is changed. This module makes the connections: one exec per host, on all hosts in parallel.
The other modules are pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs import canary
from mirrorfleet.jobs.canary import table as canary_table
from mirrorfleet.jobs.verify import running, table
from mirrorfleet.jobs.verify.checks import rows
from mirrorfleet.jobs.verify.facts import facts
from mirrorfleet.jobs.verify.layers import layers
from mirrorfleet.jobs.verify.targets import Target, targets
from mirrorfleet.jobs.verify.turns import HostReport, host_script, parse_report, timeout
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.intermittent import offline
from mirrorfleet.runtime.observe import read_host
from mirrorfleet.runtime.readonly import read_all, run_once, write
from mirrorfleet.runtime.run import active

OPTIONS = {
    "who": "one, or all",
    "models": "names with commas",
    "fallbacks": "ask, to ask the fallbacks too",
    "canary": "ask, to measure two turns instead of running clients",
    "report": "a file, or -",
}
"""The options for pyinfra's --data."""


def verify() -> None:
    """Verify, print the result, and end the program: with 1 if anything fails."""
    run_once(_verify)


def _verify(run: State) -> bool:
    """Run all turns, print the result, and return whether anything fails."""
    hosts = {host.name: host for host in active(run)}
    plans = {name: host.data.plan for name, host in hosts.items()}
    option = _options(next(iter(hosts.values())))
    if option["canary"]:
        return _canary(run, option["report"])
    everything = {host.name: host.data.plan for host in run.inventory if host.data.get("plan")}
    chosen = targets(
        plans,
        everyone=option["who"] == "all",
        models=option["models"],
        fleet=everything,
        with_fallbacks=option["fallbacks"] == "ask",
    )
    logger.info("--> Verifying %s", ", ".join(target.name for target in chosen) or "no developer")
    reports, unreachable = read_all(
        run, lambda host: _read(host, [target for target in chosen if target.host == host.name])
    )
    found = [
        layer for name, report in reports.items() for layer in layers(plans[name], report.observed)
    ]
    lines = [row for target in chosen for row in rows(target, reports.get(target.host), found)]
    if option["report"]:
        result = table.report(found, lines, unreachable, offline(run))
        write(option["report"], json.dumps(result, indent=1) + "\n")
    if option["report"] != "-":
        table.show(found, lines, unreachable)
    return (
        bool(unreachable)
        or any(layer.faults for layer in found)
        or any(row.faults for row in lines)
    )


def _canary(run: State, path: str | None) -> bool:
    """Measure engines and gateways, print the result, and return whether anything fails."""
    results, unreachable = canary.measure(run)
    if path:
        result = table.report((), (), unreachable, offline(run))
        result["canary"] = canary_table.plain(results)
        write(path, json.dumps(result, indent=1) + "\n")
    if path != "-":
        canary_table.show(results)
        table.show((), (), unreachable)
    return bool(unreachable) or any(True for result in results for _ in result.faults)


def _read(host: Host, chosen: Sequence[Target]) -> HostReport:
    plan: HostPlan = host.data.plan
    seconds = timeout(chosen) + running.timeout(plan)
    return parse_report(facts(plan), read_host(host, host_script(plan, chosen), seconds))


def _options(host: Host) -> dict[str, Any]:
    given = {name: host.data.get(name) for name in OPTIONS}
    for name, value in (("who", ("one", "all")), ("fallbacks", ("ask",)), ("canary", ("ask",))):
        if given[name] not in (None, "", *value):
            raise DeployError(f"--data {name}={given[name]}: write {OPTIONS[name]}")
    return {**given, "models": str(given["models"]).split(",") if given["models"] else ()}
