"""Postgres for the gateways, from the host's distribution, with a daily backup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mirrorfleet.config.key_derivation import weakness
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, PostgresPlan
from mirrorfleet.roles.postgres import render
from mirrorfleet.runtime import cli_options, drift, files, run
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.deferred_removal import absent_hosts
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.facts import Exists, Fact, File, Package, Unit
from mirrorfleet.runtime.observe import Observation, once
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Step
from mirrorfleet.runtime.rollout import gated_by
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.service_role import ServiceRole
from mirrorfleet.runtime.shell import shell

PACKAGE = "postgresql"
PACKAGES = (PACKAGE, "python3")


class Postgres(ServiceRole[PostgresPlan]):
    """The gateways' Postgres on one host: the server, and a timer for backups."""

    title = "Postgres"
    unit_names = render.SERVICES
    user = render.USER

    def instances(self, plan: HostPlan) -> Sequence[PostgresPlan]:
        return [plan.postgres] if plan.postgres else []

    def names(self, plan: HostPlan) -> list[str]:
        return [render.NAME, f"{render.NAME}-backup"] if plan.postgres else []

    def packages(self, plan: HostPlan, observed: Observation) -> Sequence[str]:
        return PACKAGES

    def installed(self, instance: PostgresPlan, observed: Observation) -> Installed:
        return render.installed(instance)

    def render(self, instance: PostgresPlan, observed: Observation) -> Service:
        return _rendered(instance, observed)

    def more_facts(self, plan: HostPlan) -> Iterator[Fact[Any]]:
        yield from (File(file.path) for file in units(plan))
        yield from (Unit(render.TIMER), Unit(render.BACKUP))
        yield from (Exists(render.MADE), Exists(render.FORMER))

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if plan.postgres is None:
            if self._would_lose_keys(plan, observed):
                yield error(
                    "this host has the database with LiteLLM's keys, but the fleet file sets "
                    "another database, which does not have them.",
                    "Move the keys (`mirrorfleet docs database`, Move the database). Then, or if "
                    "it is the same database, run once with --data database=moved.",
                )
            return
        if weak := weakness(reveal(plan.postgres.password)):
            yield error(
                f"the password of Postgres, {plan.postgres.password}, is too weak: it {weak}.",
                "Create a random one, for example with: openssl rand -hex 32.",
            )
        yield from super().problems(plan, observed)

    def _would_lose_keys(self, plan: HostPlan, observed: Observation) -> bool:
        """Return whether the fleet file moves the database, without the user's confirmation."""
        return (
            bool(self.removed_services(plan, observed))
            and any(run.plan_of(each).migrations for each in run.hosts())
            and cli_options.option("database") != "moved"
        )

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        yield from super().changes(plan, observed)
        if plan.postgres is None:
            return
        for file in files.outdated_system_files(units(plan), observed):
            how = "differs" if observed[File(file.path)] is not None else "is missing"
            yield Change(f"{file.path} {how}", old=file.path, new=(file.content or b"").decode())
        if not _is_timed(observed):
            yield Change(f"{render.TIMER} is not active and enabled")
        if self._has_former_password(plan.postgres, observed):
            former = "postgres: former passwords of the gateways"
            if missing := absent_hosts():
                yield Change(f"{former} work until {', '.join(missing)} take part in a run")
            else:
                yield Change(f"{former} will be revoked")

    def notices(self, plan: HostPlan, observed: Observation) -> Iterator[str]:
        if plan.postgres and observed[Unit(render.BACKUP)].active == "failed":
            yield f"the last backup failed: see journalctl -u {render.BACKUP}"

    def steps(self, plan: HostPlan) -> Sequence[Step]:
        return (
            Step("the package's own cluster, prevented", self.prepare),
            self.install_packages,
            self.create_user,
            self.stage,
            self.switch,
            Step("daily backup", self.install_timer),
        )

    def prepare(self, plan: HostPlan, observed: Observation) -> Commands:
        """Prevent the package from starting its own server at installation."""
        if not observed[Package(PACKAGE)]:
            yield script(shell(render.HERE / "files" / "prepare.sh"))

    def install_timer(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install and start the timer of the daily backup."""
        desired = units(plan)
        if files.outdated_system_files(desired, observed) or not _is_timed(observed):
            yield from files.install(desired, observed, then=render.start_timer())

    def retire(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        if not plan.postgres:
            return ()
        return (Step("former passwords, revoked", self.revoke_passwords),)

    def revoke_passwords(self, plan: HostPlan, observed: Observation) -> Commands:
        """Revoke all passwords except the one in the plan, once all gateways have that one."""
        if (
            plan.postgres
            and self._has_former_password(plan.postgres, observed)
            and not absent_hosts()
        ):
            yield from gated_by(lambda plan: plan.gateway, _revoke())

    def _has_former_password(self, postgres: PostgresPlan, observed: Observation) -> bool:
        """Return whether a former password still works after this run has started the server."""
        changes_now = observed[Exists(render.MADE)] and not drift.is_started(
            self.render(postgres, observed), observed
        )
        return changes_now or observed[Exists(render.FORMER)]

    def kept_state(self) -> Mapping[str, str]:
        return {f"{STATE}/{render.NAME}": "database"}

    def fleet_keys(self, plan: HostPlan) -> Iterator[str]:
        if plan.postgres:
            yield "gateway.database.install"

    def files(self, plan: HostPlan, observed: Observation) -> Iterator[tuple[str, str]]:
        yield from super().files(plan, observed)
        yield from ((unit.path, (unit.content or b"").decode()) for unit in units(plan))


def units(plan: HostPlan) -> list[files.SystemFile]:
    """Return the units for the daily backup."""
    return render.backup(plan.postgres) if plan.postgres else []


def _revoke() -> Commands:
    yield script(render.retire())


def _is_timed(observed: Observation) -> bool:
    state = observed[Unit(render.TIMER)]
    return (state.active, state.enabled) == ("active", "enabled")


@once
def _rendered(postgres: PostgresPlan, observed: Observation) -> Service:
    sources = sorted(
        str(network) for name in postgres.allowed_sources for network in networks(name)
    )
    return render.service(postgres, reveal(postgres.password), sources)
