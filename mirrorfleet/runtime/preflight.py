"""Before the first change: read all hosts once, and stop if a plan cannot work on its host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent import GreenletExit
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.problems import Problem, lines
from mirrorfleet.runtime import nodes, report, run, skipped
from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import observe
from mirrorfleet.runtime.problems import error, on, skip
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role
from mirrorfleet.runtime.rollout import answers_others, keep_order, serves


def preflight(*roles: Role) -> None:
    """Read every host of the run, one exec each, and keep the answers for all roles.

    Raises ``DeployError`` with the problems of all hosts, before a change on any of them. pyinfra
    runs a deploy for all hosts in parallel; the first call does the work.
    """
    this, state = run.current(), run.state()
    with this.lock:
        if this.problems is None:
            this.problems = _preflight(state, roles)
    if this.problems:
        raise DeployError("\n    ".join(["nothing was changed:", *lines(this.problems)]))
    if run.host() in state.failed_hosts:
        raise GreenletExit


def _preflight(state: State, roles: Sequence[Role]) -> list[Problem]:
    keep_order(state)
    problems = _on_all(state, _read, roles)
    nodes.skip_together()
    silent = {each for each in state.inventory.get_active_hosts() if not run.observed_on(each)}
    if problems or len(silent) == len(state.active_hosts):
        return problems or [
            on(each.name, problem)
            for each in silent
            for problem in skipped.on(run.plan_of(each)).problems
        ]
    state.fail_hosts(silent)  # type: ignore[no-untyped-call]
    if problems := _on_all(state, _fetch, roles):
        return problems
    _announce(state, roles)
    return []


def _on_all(
    state: State, step: Callable[[Host, Sequence[Role]], list[Problem]], roles: Sequence[Role]
) -> list[Problem]:
    """Take a step on all hosts; skip what has to be skipped, and return what ends the run."""
    # As many at a time as pyinfra itself would take.
    hosts = state.inventory.get_active_hosts()
    jobs = {each: state.fact_pool.spawn(step, each, roles) for each in hosts}
    gevent.joinall(list(jobs.values()), raise_error=True)
    errors = []
    for each, problem in [(each, problem) for each, job in jobs.items() for problem in job.value]:
        match problem.severity:
            case "error":
                errors.append(on(each.name, problem))
            case "warning":
                each.log(f"warning: {problem.text}", logger.warning)
            case "skip":
                skipped.skip(each, problem)
    return errors


def _read(each: Host, roles: Sequence[Role]) -> list[Problem]:
    """Observe one host, keep the answer, and return the problems.

    A host with engines or clients only may be switched off: then the run skips it.
    """
    plan = run.plan_of(each)
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
        observed = observe(each, facts)
    except DeployError as exception:
        if answers_others(plan):
            return [error(str(exception))]
        return [skip(str(exception), part="engines" if serves(plan) else "clients")]
    run.current().observed[each] = observed
    for role in roles:
        try:
            found += role.problems(plan, observed)
        except DeployError as exception:  # a secret or a lock file that is missing
            found.append(error(str(exception)))
    return list(dict.fromkeys(found))


def _fetch(each: Host, roles: Sequence[Role]) -> list[Problem]:
    """Download what one host will receive, and return why that failed."""
    try:
        for role in roles:
            role.fetch(run.plan_of(each), run.current().observed[each])
    except DeployError as exception:
        return [error(str(exception))]
    return []


def _announce(state: State, roles: Sequence[Role]) -> None:
    """Print what the run will change. For ``--diff``, read files of some hosts as well."""
    changes = {each: _changes(each, roles) for each in state.inventory.get_active_hosts()}
    contents = {}
    if state.config.DIFF:
        facts = {each: report.facts(changes[each]) for each in changes}
        asked = {
            each: state.fact_pool.spawn(observe, each, more) for each, more in facts.items() if more
        }
        gevent.joinall(list(asked.values()), raise_error=True)
        contents = {each: job.value for each, job in asked.items()}
    logger.info("--> What will be changed:")
    for each in changes:
        found = contents.get(each)
        report.print_changes(each, changes[each], found, with_diff=state.config.DIFF)
        for role in roles:
            for notice in role.notices(run.plan_of(each), run.current().observed[each]):
                each.log(f"note: {notice}", logger.warning)


def _changes(each: Host, roles: Sequence[Role]) -> list[Change]:
    """Return the changes of one host, each once: two roles may need the same package."""
    plan, observed = run.plan_of(each), run.current().observed[each]
    found = (change for role in roles for change in role.changes(plan, observed))
    return list(dict.fromkeys(found))
