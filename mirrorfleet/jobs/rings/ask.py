"""Ask after the change of a ring: the real Claude Code, as a developer of one of its machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import gevent
from pyinfra.api import Host
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs.rings import progress, record, state
from mirrorfleet.jobs.rings.progress import Verdict
from mirrorfleet.jobs.verify.checks import Row, rows, seconds_of
from mirrorfleet.jobs.verify.facts import facts
from mirrorfleet.jobs.verify.layers import MIRROR, Fault, Layer, layers
from mirrorfleet.jobs.verify.targets import Target, settings_models, targets
from mirrorfleet.jobs.verify.turns import HostReport, host_script, parse_report, timeout
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.rollout import HEADER, ONLY
from mirrorfleet.roles import registry
from mirrorfleet.runtime import run, skipped
from mirrorfleet.runtime.facts import Unit
from mirrorfleet.runtime.facts.network import Unreached
from mirrorfleet.runtime.observe import Observation, observe, parse, read_host, script
from mirrorfleet.runtime.readonly import read_all

SETTLES = 5
"""Seconds until a load balancer of the fleet has checked a changed gateway twice."""

LONGER = 10
"""Seconds that an answer may take longer than the last time, whatever the ratio."""


def ask(host: Host, ring: str, now: str) -> Verdict:
    """Run the turns of one machine, and return the result. ``now`` is the time, for the record."""
    if name := progress.failed_service(ring):
        return Verdict(None, name, "", "its own change failed", f"Fix {name}")
    plan = _with_askers(host)
    chosen = [*_targets(host, plan, ring)]
    if any(target.headers for target in chosen):
        gevent.sleep(SETTLES)
    asked = " and ".join(dict.fromkeys(f"{target.user} on {plan.name}" for target in chosen))
    try:
        found, report = _rows(host, plan, chosen)
    except (DeployError, ValueError) as error:
        return Verdict(None, host.name, asked, str(error), f"Fix {host.name}")
    faults = [fault for row in found for fault in row.faults]
    if not faults:
        seconds = _seconds(found, report)
        faults = list(_slower(plan, progress.observed_record(_observed(host)), asked, seconds))
    if faults:
        fault = faults[0]
        fix = "Correct the fleet file" if fault.remedy.startswith(MIRROR) else fault.remedy
        return Verdict(None, host.name, asked, f"{fault.where}: {fault.cause}", fix)
    return Verdict(_proof(ring, chosen, asked, seconds, now), host.name, asked)


def _with_askers(host: Host) -> HostPlan:
    """Return the plan of a machine, with the developers that can ask only."""
    plan, users = run.plan_of(host), progress.askers(host)
    if plan.clients is None:
        return plan
    able = tuple(client for client in plan.clients.users if client.user in users)
    return replace(plan, clients=replace(plan.clients, users=able))


def _targets(host: Host, plan: HostPlan, ring: str) -> Iterator[Target]:
    """Yield a developer of each group with all models, then the same through each gateway."""
    every = settings_models(plan)
    behind = _behind_the_load_balancer(ring)
    ways = _ways(host, plan)
    for target in targets({plan.name: plan}, models=every):
        if behind:
            line = f"{HEADER}: {ring}"
            headers = target.own_headers.replace(line, f"{line} {ONLY}")
            yield replace(target, headers=headers, through=(*behind,))
        else:
            yield target
        if target.scope == "managed":
            continue  # a policy wins over another address
        for name, url in ways.items():
            yield replace(
                target,
                group=f"{target.group} through {name}",
                url=url,
                base_url=url,
                through=(name,),
                kinds=("answer", "tool"),
            )


def _behind_the_load_balancer(ring: str) -> list[str]:
    """Return the gateways of a ring that the fleet's load balancer selects by the ring."""
    balancers = (run.plan_of(host).load_balancer for host in run.hosts())
    rings = next((plan.rings for plan in balancers if plan), {})
    return [*rings.get(ring, ())]


def _ways(host: Host, plan: HostPlan) -> dict[str, str]:
    """Return the URLs of the ring's gateways that the machine reaches without a load balancer."""
    urls = plan.rollout.asked if plan.rollout else {}
    if not urls:
        return {}
    ways = {name: Unreached(_peer(url)) for name, url in urls.items()}
    found = observe(host, ways.values())
    return {name: urls[name] for name, way in ways.items() if not found[way]}


def _peer(url: str) -> str:
    address, _, port = url.removeprefix("http://").rpartition(":")
    return f"{address.strip('[]')} {port}"


def _rows(host: Host, plan: HostPlan, chosen: Sequence[Target]) -> tuple[list[Row], HostReport]:
    """Return a row for each target and model. What a model may do by chance is asked twice."""
    report = _read(host, plan, chosen)
    found = [row for target in chosen for row in rows(target, report, ())]
    faults = [fault for row in found for fault in row.faults]
    if faults and all(fault.where == "model" for fault in faults):
        report = _read(host, plan, chosen)
    elif not faults:
        return found, report
    layers_now = _layers()
    return [row for target in chosen for row in rows(target, report, layers_now)], report


def _read(host: Host, plan: HostPlan, chosen: Sequence[Target]) -> HostReport:
    text = host_script(replace(plan, engines=(), gateway=None), chosen)
    return parse_report((), read_host(host, text, timeout(chosen)))


def _layers() -> list[Layer]:
    """Return the state of engines and gateways, which shows where a turn fails."""

    def read(host: Host) -> Observation:
        requested = list(facts(run.plan_of(host)))
        return parse(requested, read_host(host, script(requested), 120 + len(requested)))

    found, _ = read_all(run.state(), read)
    return [
        layer
        for host in run.hosts()
        if host.name in found
        for layer in layers(run.plan_of(host), found[host.name])
    ]


def _seconds(found: Sequence[Row], report: HostReport) -> dict[str, float]:
    """Return the seconds_of answer of each model."""
    times: dict[str, list[float]] = {}
    for row in found:
        turns = report.turns.get((row.target.group, row.target.user), {})
        if time := seconds_of(turns, row.model):
            times.setdefault(row.model.name, []).append(time)
    return {model: min(each) for model, each in times.items()}


def _slower(
    plan: HostPlan, former: record.Record, asked: str, seconds: Mapping[str, float]
) -> Iterator[Fault]:
    """Yield models that answer much slower than the last time that the same machine asked."""
    if former.proved is None or plan.rollout is None or former.proved.asked != asked:
        return
    for model, time in seconds.items():
        before = former.proved.seconds.get(model)
        if before and time > max(before * plan.rollout.slowdown, before + LONGER):
            cause = f"'{model}' takes {time:.1f} s for an answer; before the change, {before:.1f} s"
            remedy = "If that is expected, write a larger rollout.slowdown."
            yield Fault("gateway", cause, remedy)


def _proof(
    ring: str, chosen: Sequence[Target], asked: str, seconds: Mapping[str, float], now: str
) -> record.Proof:
    plans = {host: run.plan_of(host) for host, _ in progress.members(ring)}
    gateway = next((plan.gateway for plan in plans.values() if plan.gateway), None)
    through = dict.fromkeys(name for target in chosen for name in target.through or (target.url,))
    return record.Proof(
        run=progress.this_run(now),
        asked=asked,
        through=tuple(through),
        seconds=seconds,
        clients=tuple(dict.fromkeys(target.version for target in chosen)),
        gateway=gateway.version if gateway else "",
        generations=_generations(ring),
        engines=_engines(),
    )


def _generations(ring: str) -> dict[str, str]:
    """Return the generations of the gateways and load balancers of a ring, as "SERVICE on HOST"."""
    found = {}
    for host, _ in progress.members(ring):
        observed = run.observed_on(host)
        if observed and not skipped.is_skipped(run.plan_of(host), "gateway"):
            for service in state.services(run.plan_of(host), observed):
                found[f"{service.name} on {run.plan_of(host).name}"] = service.generation
    return found


def _engines() -> dict[str, str]:
    """Return the generation of each engine in the run, as "SERVICE on HOST"."""
    found = {}
    for host in run.hosts():
        plan, observed = run.plan_of(host), run.observed_on(host)
        if observed is None:
            continue
        for role in registry.service_roles():
            if role.part != "engines":
                continue
            for name, render in role.desired(plan, observed):
                running = observed[Unit(f"mirrorfleet-{name}.service")].running
                if host not in run.state().failed_hosts and not role.is_skipped(plan):
                    with suppress(DeployError, OSError):
                        running = render().generation
                found[f"{name} on {plan.name}"] = running
    return found


def _observed(host: Host) -> Observation:
    return run.current().observed[host]
