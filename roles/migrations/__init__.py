"""LiteLLM's tables: its own SQL migrations, run by psql before the first gateway changes.

LiteLLM itself is told to leave them alone: all workers of all gateways would begin at once, and a
failure would be found out by a gateway that does not start. What was run is written down where
LiteLLM's own tool looks for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.config.key_derivation import weakness
from mirrorfleet.planning import HostPlan, MigrationsPlan
from mirrorfleet.roles.migrations import render, wheel
from mirrorfleet.runtime import cli_options
from mirrorfleet.runtime.commands import Commands, operation, script, telling
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.rollout import answers_others, behind
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.shell import call
from mirrorfleet.runtime.tables import fingerprint

PACKAGE = "postgresql-client"


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of the host that makes the tables, or of one that did."""
    if plan.migrations is None:
        return [("path", render.DIRECTORY)]
    settings = render.settings(plan.migrations, _url(plan.migrations))
    return [("package", PACKAGE), ("database", render.digest(settings), render.SETTINGS)]


def refusals(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield why the database cannot be what the gateways need."""
    if plan.migrations and (why := weakness(_salt_key(plan.migrations))):
        # The database remembers its digest.
        yield (
            f"would encrypt with the salt key of {plan.migrations.salt_key}: it {why}. "
            "Make a random one, for example with: openssl rand -hex 32."
        )
    if (wanted := plan.migrations) and (state := render.state(seen)):
        if wanted.url and state.max_connections < wanted.max_connections:
            yield (
                f"finds a database that admits {state.max_connections} connections, and the "
                f"gateways need {wanted.max_connections}. Write a lower connection_pool_limit."
            )
        if not _is_asked() and state.salt_key not in ("", fingerprint(_salt_key(wanted))):
            yield (
                f"finds a database for another salt key than {wanted.salt_key}: what is stored "
                "there could never be read again. Give back the former one; where nothing is lost, "
                "run once with --data salt_key=changed."
            )


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed about the tables."""
    if plan.migrations is None:
        if render.DIRECTORY in seen.paths:
            yield Change(f"{render.DIRECTORY} will be removed")
        return
    if _lacks_client(plan, seen):
        yield Change(f"package {PACKAGE} is missing")
    if _is_due(plan.migrations, seen):
        state, wanted = render.state(seen), wheel.release(plan.migrations)
        have = f"of {state.release}, not" if state and state.release else "not known to be"
        yield Change(f"database: its tables are {have} of {wanted}")


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring the migrations to this machine, if they may be needed."""
    if plan.migrations and _is_due(plan.migrations, seen):
        wheel.fetch(plan.migrations)


@deploy("Database")
def serve() -> None:
    """Make the tables of the gateways' database what their LiteLLM needs."""
    plan = runtime.plan()
    if plan.migrations:
        if _lacks_client(plan, runtime.seen()):
            runtime.ensure_packages(PACKAGE)
        migrate(name="backup, migrations of LiteLLM")
    else:
        forget(name="settings of a database that others look after")


@operation
def migrate() -> Commands:
    """Run the migrations that are missing. If one fails, no gateway changes in this run."""
    wanted = runtime.plan().migrations
    if wanted and _is_due(wanted, runtime.seen()):
        yield from behind(answers_others, _migrate(wanted))


@operation
def forget() -> Commands:
    """Remove what this host knew of the database."""
    if runtime.plan().migrations is None and render.DIRECTORY in runtime.seen().paths:
        yield script(call("rm", "-rf", render.DIRECTORY))


def _migrate(wanted: MigrationsPlan) -> Commands:
    text = render.command(wanted, _salt_key(wanted), wheel.release(wanted), asked=_is_asked())
    yield telling(text, render.payload(wanted, _url(wanted), wheel.migrations(wanted)))


def _is_due(wanted: MigrationsPlan, seen: Observation) -> bool:
    """Are the tables others than those that are wanted? To fetch them, no secret is looked up."""
    state = render.state(seen)
    return (
        state is None
        or state.release != wheel.release(wanted)
        or state.salt_key != fingerprint(_salt_key(wanted))
    )


def _lacks_client(plan: HostPlan, seen: Observation) -> bool:
    """Must psql be installed? It comes with a server."""
    return plan.postgres is None and PACKAGE not in seen.packages


def _is_asked() -> bool:
    """Did somebody say `--data salt_key=changed`?"""
    return cli_options.said("salt_key") == "changed"


def _url(wanted: MigrationsPlan) -> str:
    return reveal(wanted.url) if wanted.url else ""


def _salt_key(wanted: MigrationsPlan) -> str:
    return reveal(wanted.salt_key)
