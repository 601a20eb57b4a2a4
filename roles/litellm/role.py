"""LiteLLM on a gateway: its environment, its configuration in generations, the developers' keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyinfra.api import Host

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, LitellmPlan
from mirrorfleet.roles.claude import home_files
from mirrorfleet.roles.litellm import (
    keys,
    limits,
    needs,
    references,
    render,
    running,
    software,
    web_search,
)
from mirrorfleet.roles.litellm.canary_targets import canary_of
from mirrorfleet.roles.litellm.paths import NAME, PLACE, USER
from mirrorfleet.runtime import cli_options, drift, generations, run, service, skipped
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, Listening
from mirrorfleet.runtime.observe import Observation, once
from mirrorfleet.runtime.problems import error, skip
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Step
from mirrorfleet.runtime.rollout import gated_by, has_gateway, has_gateway_stores
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole


class Litellm(ServiceRole[LitellmPlan]):
    """A gateway. Gateways change one after another: while one restarts, the others serve."""

    title = "LiteLLM"
    unit_names = NAME
    user = USER
    rolling = True

    def instances(self, plan: HostPlan) -> Sequence[LitellmPlan]:
        return [plan.gateway] if plan.gateway else []

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return software.packages(plan.gateway, observed) if plan.gateway else ()

    def installed(self, instance: LitellmPlan, observed: Observation) -> Installed:
        return render.installed(instance, observed)

    def canary(self, instance: LitellmPlan) -> Canary | None:
        return canary_of(instance)

    def render(self, instance: LitellmPlan, observed: Observation) -> Service:
        return _rendered(instance, observed)

    def more_facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        for gateway in self.instances(plan):
            yield from software.facts(gateway)
            yield from keys.facts()
            yield from running.facts(gateway)
            yield from web_search.facts(gateway)
            if gateway.metrics_port:
                yield Listening(gateway.metrics_port)

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        for gateway in self.instances(plan):
            yield from software.problems(gateway, observed)
            desired = self.render(gateway, observed)
            yield from service.port_problems(desired, observed)
            if gateway.metrics_port:
                yield from service.other_listeners(
                    gateway.metrics_port, desired.unit_name, observed
                )
            yield from keys.problems(gateway)
            yield from running.problems(gateway, observed)
            yield from web_search.problems(gateway, observed)
            yield from _moved_database(desired, observed)

    def more_changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        for gateway in self.instances(plan):
            yield from software.changes(gateway, observed)
            yield from keys.changes(gateway, observed)

    def generation_changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if reason := self.waits(plan, observed):
            yield Change(reason)
        else:
            yield from super().generation_changes(plan, observed)

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        for gateway in self.instances(plan):
            software.fetch(gateway, plan, observed)

    def authorize(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if not plan.gateway:
            return ()
        return (
            self.install_packages,
            self.create_user,
            Step("keys of developers", self.admit_keys),
        )

    def admit_keys(self, plan: HostPlan, observed: Observation) -> Commands:
        """Admit the keys in the plan, and for a while the former keys of the same people."""
        for gateway in self.instances(plan):
            yield from keys.admit(gateway, observed)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return () if self.waits(plan, observed) else super().apply(plan, observed)

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        image = plan.gateway and plan.gateway.image
        what = "image, by its digest" if image else "Python environment, hash-locked"
        return (Step(what, self.install_software), self.stage, self.switch)

    def install_software(self, plan: HostPlan, observed: Observation) -> Commands:
        """Bring what LiteLLM runs from, if the host does not have it."""
        for gateway in self.instances(plan):
            yield from software.install(gateway, plan, observed)

    def switch_all(self, plan: HostPlan, observed: Observation) -> Commands:
        """Switch one gateway after another.

        A gateway that fails, now or in an earlier step, stops the gateways after it. An engine that
        failed stops the gateways that newly need it.
        """
        if not self.waits(plan, observed):
            commands = super().switch_all(plan, observed)
            yield from gated_by(has_gateway_stores, commands, ahead=lambda plan: plan.gateway)

    def waits(self, plan: HostPlan, observed: Observation) -> str:
        """Return why the gateway keeps its running generation, if it does, and skip its change."""
        this = run.host_of(plan)
        if not plan.gateway or this is None:
            return ""
        desired = self.render(plan.gateway, observed)
        if generations.is_switched(desired, observed):
            return ""
        if reason := needs.waits(this, desired, running.unreached(plan.gateway, observed)):
            skipped.skip(this, skip(reason, part="gateway"))
        return reason

    def retire(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if not plan.gateway:
            return ()
        return (Step("former keys are revoked", self.revoke_former_keys),)

    def revoke_former_keys(self, plan: HostPlan, observed: Observation) -> Commands:
        """Revoke the former keys, and prove with them that they open nothing."""
        for gateway in self.instances(plan):
            address = render.probed(gateway.listen)
            yield from keys.retire(gateway, observed, address, home_files.removed_keys)

    def notices(self, plan: HostPlan, observed: Observation) -> Iterator[str]:
        for gateway in self.instances(plan):
            yield from keys.notices(gateway, observed)

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        if plan.gateway:
            yield "gateway.hosts"

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        yield from super().files(plan, observed)
        for gateway in self.instances(plan):
            yield keys.DESIRED, keys.desired(gateway)
            if text := limits.desired(gateway):
                yield keys.LIMITS, text
            if gateway.workers == "auto":
                yield "note", "Of workers, the host's cores and memory decide; two are shown.\n"


def troubles() -> list[str]:
    """Return the engine hosts in trouble, and the URLs of engines that a gateway does not reach."""
    hosts = [each.name for each in needs.troubled()]
    urls = (url for found in _gateways().values() for url in running.unreached(*found).values())
    return [*hosts, *dict.fromkeys(urls)]


def _gateways() -> dict[Host, tuple[LitellmPlan, Observation]]:
    """Return the gateways of this run that were observed."""
    return {
        each: (gateway, observed)
        for each in run.hosts_with(has_gateway)
        if (gateway := run.plan_of(each).gateway) and (observed := run.observed_on(each))
    }


def unavailable() -> needs.Unavailable:
    """Return what the gateways of this run cannot newly give to developers."""
    if not troubles():
        return needs.Unavailable(frozenset(), frozenset())
    gateways = _gateways()
    down = {
        name
        for gateway, observed in gateways.values()
        for name in needs.down(gateway, running.unreached(gateway, observed))
    }
    lost = needs.lost({each: _rendered(*found) for each, found in gateways.items()})
    return needs.Unavailable(lost, down)


def _moved_database(desired: Service, observed: Observation) -> Iterator[Problem]:
    """Yield that the database is another one than the gateway has now."""
    if drift.file_differs(desired, PLACE, observed) and (cli_options.option("database") != "moved"):
        yield error(
            "the gateway's keys are in a database at another host, port or name than the fleet "
            "file names, which may have none of them.",
            "Move them (`mirrorfleet docs database`, Move the database); then, or if it is the "
            "same database, run once with --data database=moved.",
        )


@once
def _rendered(gateway: LitellmPlan, observed: Observation) -> Service:
    secrets = {secret: reveal(secret) for secret in references.secrets(gateway)}
    directory = software.directory(gateway, observed)
    return render.service(gateway, directory, secrets, observed)
