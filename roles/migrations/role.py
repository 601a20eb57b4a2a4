"""LiteLLM's tables: psql runs LiteLLM's SQL migrations before the first gateway changes.

LiteLLM itself does not run them: all workers of all gateways would start them at once, and a
failure would show only as a gateway that does not start. The migrations are recorded where
LiteLLM's own tool looks for them.
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
from mirrorfleet.runtime.commands import Commands, script, visible_script
from mirrorfleet.runtime.facts import Exists, Fact, Package
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import gated_by, has_shared_services
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.shell import call
from mirrorfleet.runtime.tables import fingerprint

PACKAGE = "postgresql-client"


class Migrations(Role):
    """The tables of the gateways' database, migrated from one host."""

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
        # The database has a digest of the salt key, so the key must not be guessable.
        if weak := weakness(_salt_key(desired)):
            yield error(
                f"the salt key {desired.salt_key} is too weak: it {weak}.",
                "Create a random one, for example with: openssl rand -hex 32.",
            )
        state = render.state(observed)
        if state is None:
            return
        if desired.url and state.max_connections < desired.max_connections:
            yield error(
                f"the database allows {state.max_connections} connections, but the gateways need "
                f"{desired.max_connections}.",
                "Set a lower connection_pool_limit.",
            )
        if not _is_confirmed() and state.salt_key not in ("", fingerprint(_salt_key(desired))):
            yield error(
                f"the database has another salt key than {desired.salt_key}: its content could not "
                "be decrypted.",
                "Set the former key again. If the content is not needed, run once with "
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
            present = state.release if state and state.release else "an unknown release"
            yield Change(f"database: migrate its tables from {present} to {desired}")

    def fetch(self, plan: HostPlan, observed: Observation) -> None:
        if plan.migrations and _is_due(plan.migrations, observed):
            wheel.fetch(plan.migrations)

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (
            Step("system packages", self.install_client),
            Step("backup, migrations of LiteLLM", self.migrate),
            Step("settings of a database that another host migrates", self.remove_settings),
        )

    def install_client(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install psql on the host that runs the migrations."""
        if plan.migrations:
            yield from packages.install(_packages(plan), observed)

    def migrate(self, plan: HostPlan, observed: Observation) -> Commands:
        """Run the migrations that are missing. If one fails, no gateway changes in this run."""
        if plan.migrations and _is_due(plan.migrations, observed):
            yield from gated_by(has_shared_services, _migrate(plan.migrations))

    def remove_settings(self, plan: HostPlan, observed: Observation) -> Commands:
        """Remove the database settings from a host that no longer runs the migrations."""
        if plan.migrations is None and observed[Exists(render.DIRECTORY)]:
            yield script(call("rm", "-rf", render.DIRECTORY))


def _packages(plan: HostPlan) -> Sequence[str]:
    """Return the package with psql, unless the server's package includes it."""
    return () if plan.postgres else (PACKAGE,)


def _migrate(desired: MigrationsPlan) -> Commands:
    text = render.command(
        desired, _salt_key(desired), wheel.release(desired), confirmed=_is_confirmed()
    )
    yield visible_script(text, render.payload(desired, _url(desired), wheel.migrations(desired)))


def _is_due(desired: MigrationsPlan, observed: Observation) -> bool:
    """Return whether the tables are not of the desired release and salt key.

    Without an answer of the database, it needs no secret.
    """
    state = render.state(observed)
    return (
        state is None
        or state.release != wheel.release(desired)
        or state.salt_key != fingerprint(_salt_key(desired))
    )


def _is_confirmed() -> bool:
    """Return whether the run has the option `--data salt_key=changed`."""
    return cli_options.option("salt_key") == "changed"


def _url(desired: MigrationsPlan) -> str:
    return reveal(desired.url) if desired.url else ""


def _salt_key(desired: MigrationsPlan) -> str:
    return reveal(desired.salt_key)
