"""What every role stands on: look at all hosts once, refuse what cannot work, then change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import gevent
from gevent import GreenletExit
from pyinfra import host, logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError
from pyinfra.context import ctx_state

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import nodes, report, undone
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.observe import Observation, Question, observe
from mirrorfleet.runtime.report import Change, Doubt, Lacking, Skipped
from mirrorfleet.runtime.rollout import answers_others, keep_order, serves
from mirrorfleet.runtime.shell import call, shell
from mirrorfleet.runtime.undone import finish as finish


class Role(Protocol):
    """What a role tells before anything is changed."""

    def questions(self, plan: HostPlan) -> list[Question]:
        """What must be known of a host to compare it with the plan."""
        ...

    def refusals(self, plan: HostPlan, seen: Observation) -> Iterable[str]:
        """Why the plan cannot work on the host as it is: the cause and the remedy.

        Or a Doubt, or what is Lacking or Skipped on the host: then the run goes on without that.
        """
        ...

    def changes(self, plan: HostPlan, seen: Observation) -> Iterable[Change]:
        """All that the role will change on the host, one by one."""
        ...

    def fetch(self, plan: HostPlan, seen: Observation) -> None:
        """Bring to this machine what the host will be sent."""
        ...


class ServingRole(Role, Protocol):
    """A role with one step that changes hosts: what a team adds to a run of its own."""

    def serve(self) -> None:
        """Run the operations of the current host, if it is concerned."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A role that has more to tell than what it will change."""

    def remarks(self, plan: HostPlan, seen: Observation) -> Iterable[str]:
        """What will be left as it is, and a person may want to know."""
        ...


_lock = Lock()
_surveys: WeakKeyDictionary[State, list[str]] = WeakKeyDictionary()
"""What spoke against each run, once it has been looked into."""


def survey(*roles: Role) -> None:
    """Look at every host of the run, one exec each, and keep the answers for all roles.

    Raises ``DeployError`` with what speaks against the plan on any of the hosts, before a change
    on one of them. pyinfra runs a deploy for all hosts in parallel; the first call does the work.
    """
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    with _lock:
        if run not in _surveys:
            _surveys[run] = _survey(run, roles)
    if refusals := _surveys[run]:
        raise DeployError("nothing was changed, because\n    " + "\n    ".join(refusals))
    if host in run.failed_hosts:
        raise GreenletExit


def seen() -> Observation:
    """Return how the current host was found."""
    found: Observation = host.data.seen
    return found


def plan() -> HostPlan:
    """Return the plan of the current host."""
    wanted: HostPlan = host.data.plan
    return wanted


def ensure_packages(*names: str) -> None:
    """Install the system packages that the host does not have."""
    _install(names, name="system packages")


def ensure_user(name: str) -> None:
    """Give a service a system user of its own, when the host has none."""
    if name not in seen().users:
        from pyinfra.operations import server  # slow to import, rarely needed

        server.user(
            name="system user",
            user=name,
            system=True,
            home="/nonexistent",
            create_home=False,
            ensure_home=False,
            shell="/usr/sbin/nologin",
        )


INSTALL = shell(Path(__file__).parent / "scripts" / "packages.sh")
"""A shell function, `install_packages`: it takes the names of packages."""


@operation
def _install(names: Sequence[str]) -> Commands:
    """Install those of the packages that the host does not have."""
    if missing := [name for name in names if name not in seen().packages]:
        yield script(INSTALL + call("install_packages", *missing))


def lacks(found: Observation, packages: Iterable[str], user: str) -> Iterator[Change]:
    """Yield the system packages and the system user that a host will be given."""
    for name in packages:
        if name not in found.packages:
            yield Change(f"package {name} is missing")
    if user not in found.users:
        yield Change(f"user {user} is missing")


def _survey(run: State, roles: Sequence[Role]) -> list[str]:
    keep_order(run)
    refusals = _step(run, _look, roles)
    nodes.skip_together(run)
    silent = {each for each in run.inventory.get_active_hosts() if not each.data.get("seen")}
    if refusals or len(silent) == len(run.active_hosts):
        return refusals or [
            f"{each.name} {why}" for each in silent for why in undone.of(each.data.plan).whys
        ]
    run.fail_hosts(silent)  # type: ignore[no-untyped-call]
    if refusals := _step(run, _fetch, roles):
        return refusals
    _tell(run, list(run.inventory.get_active_hosts()), roles)
    return []


def _step(
    run: State, step: Callable[[Host, Sequence[Role]], list[str]], roles: Sequence[Role]
) -> list[str]:
    """Take a step on all hosts; report what is skipped on them, and return what ends the run."""
    # As many at a time as pyinfra itself would take.
    hosts = run.inventory.get_active_hosts()
    jobs = {each: run.fact_pool.spawn(step, each, roles) for each in hosts}
    gevent.joinall(list(jobs.values()), raise_error=True)
    refusals = []
    for each, why in [(each, why) for each, job in jobs.items() for why in job.value]:
        match why:
            case Doubt():
                each.log(why, logger.warning)
            case Skipped():
                undone.skip(each, why)
            case Lacking():
                undone.skip(each, why, why.part)
            case _:
                refusals.append(f"{each.name} {why}")
    return refusals


def _look(each: Host, roles: Sequence[Role]) -> list[str]:
    """Observe one host, keep the answer, and return what speaks against its plan.

    A host of engines or clients alone that does not answer is as good as one that is switched off.
    """
    wanted: HostPlan = each.data.plan
    try:
        questions = [q for role in roles for q in role.questions(wanted)]
    except DeployError as error:
        return [str(error)]
    try:
        found = observe(each, questions)
    except DeployError as error:
        if answers_others(wanted):
            return [str(error)]
        return [Lacking(str(error), "engines" if serves(wanted) else "clients")]
    try:
        each.data.seen = found
        return list(dict.fromkeys(why for role in roles for why in role.refusals(wanted, found)))
    except DeployError as error:
        return [str(error)]


def _fetch(each: Host, roles: Sequence[Role]) -> list[str]:
    """Fetch what one host will be sent, and return why that cannot be."""
    try:
        for role in roles:
            role.fetch(each.data.plan, each.data.seen)
    except DeployError as error:
        return [f"cannot be provisioned: {error}"]
    return []


def _tell(run: State, hosts: Sequence[Host], roles: Sequence[Role]) -> None:
    """Print what will be changed on the hosts. For diffs some are looked at once more."""
    changes = {each: _changes(each, roles) for each in hosts}
    looks = {}
    if run.config.DIFF:
        questions = {each: report.questions(changes[each]) for each in hosts}
        asked = {each: run.fact_pool.spawn(observe, each, q) for each, q in questions.items() if q}
        gevent.joinall(list(asked.values()), raise_error=True)
        looks = {each: job.value.contents for each, job in asked.items()}
    logger.info("--> What will be changed:")
    for each in hosts:
        report.tell(each, changes[each], looks.get(each, {}), with_diff=run.config.DIFF)
        for role in roles:
            if isinstance(role, Remarking):
                for remark in role.remarks(each.data.plan, each.data.seen):
                    each.log(f"note: {remark}", logger.warning)


def _changes(each: Host, roles: Sequence[Role]) -> list[Change]:
    """Name the changes of one host, each once: two roles may want the same package."""
    found = (role.changes(each.data.plan, each.data.seen) for role in roles)
    return list(dict.fromkeys(change for changes in found for change in changes))
