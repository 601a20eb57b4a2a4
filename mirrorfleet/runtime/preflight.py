"""The preflight: read all hosts once, and stop before any change if a plan cannot work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
from gevent import GreenletExit
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem, lines
from mirrorfleet.runtime import (
    change_summary,
    exclusive,
    intermittent,
    nodes,
    pyinfra_command,
    report,
    run,
    skipped,
)
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import NoAnswer, observe
from mirrorfleet.runtime.problems import error, skip, with_host
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role
from mirrorfleet.runtime.rollout import has_services, has_shared_services, keep_order


def preflight(*roles: Role) -> None:
    """Read every host of the run, one exec each, and store the observations for all roles.

    Raises ``DeployError`` with the problems of all hosts, before any change. pyinfra runs a deploy
    for all hosts in parallel; the first call does the work.
    """
    this, state = run.current(), run.state()
    with this.lock:
        if this.problems is None:
            this.problems = _preflight(state, roles)
    if this.problems:
        raise DeployError("\n    ".join(["nothing was changed:", *lines(this.problems)]))
    if run.host() not in state.active_hosts:
        raise GreenletExit


def _preflight(state: State, roles: Sequence[Role]) -> list[Problem]:
    keep_order(state)
    problems = _on_all(state, _read, roles)
    nodes.skip_together()
    away = [host for host in run.active(state) if intermittent.is_offline(host)]
    intermittent.leave_out(state, away)
    silent = [host for host in run.active(state) if not run.observed_on(host)]
    if problems or (silent and len(silent) == len(state.active_hosts)):
        return problems or [
            with_host(host.name, problem)
            for host in silent
            for problem in skipped.on_host(run.plan_of(host)).problems
        ]
    state.fail_hosts(set(silent))  # type: ignore[no-untyped-call]
    if problems := _on_all(state, _fetch, roles):
        return problems
    changes = {host: _changes(host, roles) for host in run.active(state)}
    if not (pyinfra_command.is_dry() or run.current().only_shows):
        again = exclusive.take(state, [host for host, found in changes.items() if found])
        if problems := _survey_again(state, roles, again):
            return problems
        changes = {
            host: _changes(host, roles) if host in again else changes[host]
            for host in run.active(state)
        }
    _announce(state, roles, changes)
    return []


def _survey_again(state: State, roles: Sequence[Role], hosts: Sequence[Host]) -> list[Problem]:
    """Read hosts that another run has changed since they were read; return the problems."""
    if not hosts:
        return []
    for host in hosts:
        del run.current().observed[host]
        run.current().skipped.pop(run.plan_of(host).name, None)
    if problems := _on_all(state, _read, roles, hosts):
        return problems
    nodes.skip_together()
    intermittent.leave_out(state, [host for host in hosts if intermittent.is_offline(host)])
    silent = {host for host in run.active(state) if not run.observed_on(host)}
    state.fail_hosts(silent)  # type: ignore[no-untyped-call]
    return _on_all(state, _fetch, roles, [host for host in hosts if host in state.active_hosts])


def _on_all(
    state: State,
    step: Callable[[Host, Sequence[Role]], list[Problem]],
    roles: Sequence[Role],
    hosts: Sequence[Host] | None = None,
) -> list[Problem]:
    """Take a step on all hosts, skip parts of hosts as needed, and return the errors."""
    # In pyinfra's pool, which limits the number of parallel hosts.
    hosts = run.active(state) if hosts is None else hosts
    jobs = {host: state.fact_pool.spawn(step, host, roles) for host in hosts}
    gevent.joinall(list(jobs.values()), raise_error=True)
    errors, warnings = [], []
    for host, problem in [(host, problem) for host, job in jobs.items() for problem in job.value]:
        match problem.severity:
            case "error":
                errors.append(with_host(host.name, problem))
            case "warning":
                warnings.append(with_host(host.name, problem))
            case "skip":
                skipped.skip(host, problem)
    for line in lines(warnings):
        logger.warning("%s", line)
    return errors


def _read(host: Host, roles: Sequence[Role]) -> list[Problem]:
    """Observe one host, store the observation, and return the problems.

    If a host with only engines or clients does not answer, the run skips it, or leaves it for a
    later one.
    """
    plan = run.plan_of(host)
    facts: list[Fact[Any]] = []
    found: list[Problem] = []
    for role in roles:
        try:
            facts += role.facts(plan)
        except DeployError as exception:
            found.append(error(str(exception)))
    if found:
        return list(dict.fromkeys(found))
    try:
        observed = observe(host, facts)
    except DeployError as exception:
        if plan.intermittent and isinstance(exception, NoAnswer):
            intermittent.note(host, str(exception))
            return []
        if has_shared_services(plan):
            return [error(str(exception))]
        return [skip(str(exception), part="engines" if has_services(plan) else "clients")]
    run.current().observed[host] = observed
    for role in roles:
        try:
            found += role.problems(plan, observed)
        except DeployError as exception:  # a missing secret or lock file
            found.append(error(str(exception)))
    return list(dict.fromkeys(found))


def _fetch(host: Host, roles: Sequence[Role]) -> list[Problem]:
    """Download the files that one host will receive, and return the problems."""
    plan, observed = run.plan_of(host), run.current().observed[host]
    try:
        for role in roles:
            role.fetch(plan, observed)
    except DeployError as exception:
        return [error(str(exception))]
    return []


def _announce(
    state: State, roles: Sequence[Role], changes: Mapping[Host, list[tuple[str, Change]]]
) -> None:
    """Print what the run will change. For ``--diff``, read the changed files first."""
    run.current().changes = {host.name: found for host, found in changes.items()}
    logger.info("--> What will be changed:")
    if state.config.DIFF:
        _print_differences(
            state, {host: [change for _, change in found] for host, found in changes.items()}
        )
    else:
        for line in change_summary.lines(run.current().changes):
            logger.info("%s", line)
    for host in changes:
        plan, observed = run.plan_of(host), run.current().observed[host]
        for role in roles:
            for notice in role.notices(plan, observed):
                host.log(f"note: {notice}", logger.warning)


def _print_differences(state: State, changes: Mapping[Host, Sequence[Change]]) -> None:
    facts = {host: report.facts(found) for host, found in changes.items()}
    readings = {
        host: state.fact_pool.spawn(observe, host, more) for host, more in facts.items() if more
    }
    gevent.joinall(list(readings.values()), raise_error=True)
    for host, found in changes.items():
        reading = readings.get(host)
        # A greenlet that has ended is false.
        report.print_differences(host, found, None if reading is None else reading.value)


def _changes(host: Host, roles: Sequence[Role]) -> list[tuple[str, Change]]:
    """Return the changes of one host, each with the title of its role.

    Without duplicates: two roles may need the same package.
    """
    plan, observed = run.plan_of(host), run.current().observed[host]
    found: dict[Change, str] = {}
    for role in roles:
        for change in role.changes(plan, observed):
            found.setdefault(change, role.title)
    return [(title, change) for change, title in found.items()]
