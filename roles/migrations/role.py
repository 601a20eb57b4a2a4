"""LiteLLM's tables: its own SQL migrations, run by psql before the first gateway changes.

LiteLLM itself does not run them: all workers of all gateways would begin at once, and a failure
would show only as a gateway that does not start. What was run is recorded where LiteLLM's own tool
looks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mirrorfleet.config.key_derivation import weakness
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan, MigrationsPlan
from mirrorfleet.roles.migrations import render, wheel
from mirrorfleet.roles.migrations.facts import Database
from mirrorfleet.runtime import cli_options, packages
from mirrorfleet.runtime.commands import Commands, script, telling
from mirrorfleet.runtime.facts import Exists, Fact, Package
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import answers_others, gated_by
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.shell import call
from mirrorfleet.runtime.tables import fingerprint

PACKAGE = "postgresql-client"


class Migrations(Role):
    """The tables of the gateways' database, made from one host."""

    title = "Database"

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        if plan.migrations is None:
            return [Exists(render.DIRECTORY)]
        settings = render.settings(plan.migrations, _url(plan.migrations))
        return [Package(PACKAGE), Database(render.SETTINGS, render.digest(settings))]

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if plan.migrations is None:
            return
        desired = plan.migrations
        # The database keeps the digest of the salt key, so it must not be guessed.
        if weak := weakness(_salt_key(desired)):
            yield error(
                f"the salt key {desired.salt_key} is too weak: it {weak}.",
                "Make a random one, for example with: openssl rand -hex 32.",
            )
        state = render.state(observed)
        if state is None:
            return
        if desired.url and state.max_connections < desired.max_connections:
            yield error(
                f"the database admits {state.max_connections} connections, and the gateways need "
                f"{desired.max_connections}.",
                "Set a lower connection_pool_limit.",
            )
        if not _is_asked() and state.salt_key not in ("", fingerprint(_salt_key(desired))):
            yield error(
                f"the database belongs to another salt key than {desired.salt_key}: what is stored "
                "there could never be read again.",
                "Set the former key again; if nothing would be lost, run once with "
                "--data salt_key=changed.",
            )

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if plan.migrations is None:
            if observed[Exists(render.DIRECTORY)]:
                yield Change(f"{render.DIRECTORY} will be removed")
            return
        yield from packages.missing(observed, _packages(plan))
        if _is_due(plan.migrations, observed):
            state, desired = render.state(observed), wheel.release(plan.migrations)
            have = f"of {state.release}, not" if state and state.release else "not known to be"
            yield Change(f"database: its tables are {have} of {desired}")

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        if plan.migrations and _is_due(plan.migrations, observed):
            wheel.fetch(plan.migrations)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (
            Step("system packages", self.install_client),
            Step("backup, migrations of LiteLLM", self.migrate),
            Step("settings of a database that others maintain", self.remove_settings),
        )

    def install_client(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install psql on the host that runs the migrations."""
        if plan.migrations:
            yield from packages.install(_packages(plan), observed)

    def migrate(self, plan: HostPlan, observed: Observation) -> Commands:
        """Run the migrations that are missing. If one fails, no gateway changes in this run."""
        if plan.migrations and _is_due(plan.migrations, observed):
            yield from gated_by(answers_others, _migrate(plan.migrations))

    def remove_settings(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove what a host that no longer runs the migrations knew of the database."""
        if plan.migrations is None and observed[Exists(render.DIRECTORY)]:
            yield script(call("rm", "-rf", render.DIRECTORY))


def _packages(plan: HostPlan) -> Sequence[str]:
    """Return the package with psql, where no server brings it."""
    return () if plan.postgres else (PACKAGE,)


def _migrate(desired: MigrationsPlan) -> Commands:
    text = render.command(desired, _salt_key(desired), wheel.release(desired), asked=_is_asked())
    yield telling(text, render.payload(desired, _url(desired), wheel.migrations(desired)))


def _is_due(desired: MigrationsPlan, observed: Observation) -> bool:
    """Are the tables others than those that are desired? To fetch them, no secret is looked up."""
    state = render.state(observed)
    return (
        state is None
        or state.release != wheel.release(desired)
        or state.salt_key != fingerprint(_salt_key(desired))
    )


def _is_asked() -> bool:
    """Did somebody say `--data salt_key=changed`?"""
    return cli_options.option("salt_key") == "changed"


def _url(desired: MigrationsPlan) -> str:
    return reveal(desired.url) if desired.url else ""


def _salt_key(desired: MigrationsPlan) -> str:
    return reveal(desired.salt_key)
