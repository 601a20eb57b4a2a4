"""The end of a ring: Claude Code asks, and the ring is recorded as proved, or goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand

from mirrorfleet.config.problems import Problem
from mirrorfleet.jobs.rings import progress, record, state
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import former
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.runtime import drift, generations, run, skipped
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Exists, Fact
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error, skip
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import rolling
from mirrorfleet.runtime.service import Service
from mirrorfleet.runtime.shell import shell

KEPT = Exists(f"{former.FORMER}/complete")
"""Whether a machine has kept its former state: its ring has changed, and was not proved since."""

RECORD_SCRIPT = Path(__file__).parent / "record.sh"


class Records(Role):
    """The records of the rings on their hosts: whether the desired state was proved."""

    title = "Rings"

    def facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        if plan.rollout:
            yield from (record.FACT, KEPT)

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if plan.rollout and progress.is_unproved(plan, observed):
            names = " and ".join(f"'{ring}'" for ring in plan.rollout.present)
            yield Change(f"this state is not proved in ring {names} yet: Claude Code will ask")


class Rings(Records):
    """The records, and whether the hosts of a run suffice to prove what it changes."""

    def problems(self, plan: HostPlan, observed: Observation) -> Iterable[Problem]:
        if plan.rollout is None or not progress.is_unproved(plan, observed):
            return
        last = plan.rollout.present[-1]
        for ring in plan.rollout.rings[: plan.rollout.rings.index(last) + 1]:
            if not any(host.clients == ring for _, host in progress.members(ring)):
                names = [each.name for each in run.hosts() if _clients(each) == ring]
                yield error(
                    f"changes in ring '{last}', but --limit leaves out the developers' machines of "
                    f"ring '{ring}', with which Claude Code asks before.",
                    f"Add one of them to --limit: {', '.join(names[:3])}.",
                )


def _clients(host: Host) -> str | None:
    plan = run.plan_of(host).rollout
    return plan.clients if plan else None


class Keep(Role):
    """Keeps what the developers' machines of a ring have, before they change."""

    def __init__(self, ring: str) -> None:
        self.title = f"Ring {ring}"
        self.ring = ring

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if plan.rollout is None or plan.rollout.clients != self.ring:
            return ()
        return (Step("what the machines have, for the way back", self.keep),)

    def keep(self, plan: HostPlan, observed: Observation) -> Commands:
        """Keep settings, commands and policy, if they will change."""
        if not _changes_clients(plan, observed):
            return
        if not run.state().is_executing or not progress.blocked(self.ring):
            yield from former.keep(plan, observed)


class Prove(Role):
    """Asks with Claude Code after the change of a ring, then records the proof or goes back.

    No step fails a host: a failed host would take no further step, and so would not go back.
    """

    def __init__(self, ring: str) -> None:
        self.title = f"Ring {ring}"
        self.ring = ring

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        rollout = plan.rollout
        if rollout is None or self.ring not in rollout.present or not progress.is_due(self.ring):
            return ()
        # Clients first: their new settings may need what the new gateways have.
        return (
            Step("Claude Code asks as a developer", self.ask),
            Step("settings and clients go back", self._if_failed(self._clients_back)),
            Step("gateways go back", self._if_failed(self._services_back), serial=True),
            Step("record", self.record),
        )

    def ask(self, plan: HostPlan, observed: Observation) -> Commands:
        """Ask on the first machine of the ring that can."""
        machines = progress.machines(self.ring)
        if run.host() not in machines:
            return
        is_first = run.host() is machines[0] and not progress.blocked(self.ring)
        if is_first or not run.state().is_executing:
            yield _Ask(self.ring)

    def _if_failed(
        self, commands: Callable[[HostPlan, Observation], Commands]
    ) -> Callable[[HostPlan, Observation], Commands]:
        """Return the commands of the way back, which the run takes only if the ring has failed."""

        def found(plan: HostPlan, observed: Observation) -> Commands:
            if not run.state().is_executing:
                if progress.is_unproved(plan, observed):
                    yield script("")  # takes part in the step; replaced when it is executed
            elif progress.went_wrong(self.ring):
                yield from commands(plan, observed)

        return found

    def _clients_back(self, plan: HostPlan, observed: Observation) -> Commands:
        """Put back the settings, the commands and the policy of a machine of this ring."""
        if _has_former_clients(plan, observed, self.ring):
            yield from former.put_back(plan, observed)

    def _services_back(self, plan: HostPlan, observed: Observation) -> Commands:
        """Return the gateway, or the load balancer, of this ring to what it ran before."""
        for service in _services(plan, observed, self.ring):
            before = former_generation(plan, service, observed)
            if before:
                yield from rolling(generations.return_to(service, before, service.generation))

    def record(self, plan: HostPlan, observed: Observation) -> Commands:
        """Write the record of a host, and remove what its way back needed."""
        if not run.state().is_executing:
            yield script("")
            return
        if new := _new_record(plan, observed, self.ring):
            text = shell(RECORD_SCRIPT, record=record.PATH, former=former.FORMER)
            yield script(text, new.text())


def _new_record(plan: HostPlan, observed: Observation, ring: str) -> record.Record | None:
    """Return what to record on a host after its ring, ``None`` if there is nothing new."""
    verdict = progress.verdicts().get(ring)
    known = progress.observed_record(observed)
    if progress.went_wrong(ring):
        _report(plan, observed, ring)
        cause, _ = progress.why(ring)
        failure = record.Failure(progress.this_run(_now()), verdict.asked if verdict else "", cause)
        return record.Record(ring, known.state, known.proved, failure)
    is_last = plan.rollout is not None and plan.rollout.present[-1] == ring
    if verdict is None or not is_last or skipped.is_skipped(plan, "gateway"):
        return None
    return record.Record(ring, state.identity(plan, observed), verdict.proof)


class _Ask(PyinfraCommand):
    """A command that asks, and stores the result for the run. It succeeds in any case."""

    def __init__(self, ring: str) -> None:
        super().__init__()
        self.ring = ring

    def execute(self, state: State, host: Host, connector_arguments: Any) -> bool:
        from mirrorfleet.jobs.rings import ask  # all of verify, which few runs need

        verdict = ask.ask(host, self.ring, _now())
        progress.verdicts()[self.ring] = verdict
        if verdict.proof is None:
            cause, _ = progress.why(self.ring)
            run.current().progress.failed_ring = self.ring
            logger.error("%s", f"{cause}. It goes back, and the next rings do not change.")
        else:
            proof = verdict.proof
            answers = ", ".join(f"{model} {time:.1f} s" for model, time in proof.seconds.items())
            through = ", ".join(proof.through)
            host.log(f"ring '{self.ring}' is proved by {proof.asked} through {through}: {answers}")
        return True


def _has_former_clients(plan: HostPlan, observed: Observation, ring: str) -> bool:
    """Return whether a machine of a ring has changed since it was proved last."""
    if plan.rollout is None or plan.rollout.clients != ring:
        return False
    return observed[KEPT] or _changes_clients(plan, observed)


def _changes_clients(plan: HostPlan, observed: Observation) -> bool:
    """Return whether this run changes settings, commands, policy or client of a machine."""
    return any(Claude().changes(plan, observed))


def _services(plan: HostPlan, observed: Observation, ring: str) -> Iterator[Service]:
    """Yield the services of a host that change in a ring and that this run has not skipped."""
    if plan.rollout is None or skipped.is_skipped(plan, "gateway"):
        return
    ring_of = {"litellm": plan.rollout.gateway, "front": plan.rollout.load_balancer}
    for service in state.services(plan, observed):
        if ring_of[service.name] == ring:
            yield service


def former_generation(plan: HostPlan, service: Service, observed: Observation) -> str:
    """Return the generation to go back to: the one that ran, or the last proved one; "" if none."""
    before = drift.current(service, observed)
    if before == service.generation:  # of a run that was cut
        proved = progress.observed_record(observed).proved
        before = proved.generations.get(f"{service.name} on {plan.name}", "") if proved else ""
    is_present = before in drift.present_generations(service, observed)
    return before if before != service.generation and is_present else ""


def _report(plan: HostPlan, observed: Observation, ring: str) -> None:
    """Report what became of a host of a ring that failed."""
    cause, fix = progress.why(ring)
    if not progress.is_unproved(plan, observed):
        return
    services = list(_services(plan, observed, ring))
    has_former = [former_generation(plan, service, observed) for service in services]
    changed = bool(services) or _has_former_clients(plan, observed, ring)
    if services and not all(has_former):
        what = "it keeps its new generation, because it has no former one"
    else:
        what = "this host went back" if changed else "nothing had to go back"
    skipped.on_host(plan).went_back = changed
    skipped.skip(
        run.host(),
        skip(
            f"{cause}; {what}.",
            f"{fix.rstrip('.')}, then run again.",
            part="gateway" if plan.gateway else None,
        ),
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
