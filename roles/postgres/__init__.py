"""Postgres for the gateways, from the host's distribution: a service of ours, a backup each day."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import deploy
from pyinfra.context import ctx_state

from mirrorfleet import runtime
from mirrorfleet.config.key_derivation import weakness
from mirrorfleet.planning import HostPlan, PostgresPlan
from mirrorfleet.roles.postgres import render
from mirrorfleet.runtime import cli_options, drift, files, generations, service, service_removal
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.deferred_removal import absent
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.observe import Observation, Question, Unit, once
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.rollout import behind
from mirrorfleet.runtime.secrets import reveal

PACKAGE = "postgresql"
PACKAGES = (PACKAGE, "python3")

# The package makes a cluster of its own and starts it. Not with us.
ALONE = """\
install -d /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/mirrorfleet.conf
"""


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of the host with the gateways' Postgres, or of one that had it."""
    former = service_removal.question(render.SERVICES)
    if plan.postgres is None:
        return [former]
    return [
        former,
        *(("package", name) for name in PACKAGES),
        *service.questions(render.NAME, render.USER, plan.postgres.port),
        *(("tree", file.path) for file in units(plan)),
        ("unit", render.TIMER),
        ("unit", render.BACKUP),
        ("path", render.MADE),
        ("path", render.FORMER),
    ]


def refusals(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield why Postgres cannot run on this host, or not leave it yet."""
    if plan.postgres is None:
        if _departed(plan, seen) and _is_elsewhere() and cli_options.said("database") != "moved":
            yield (
                "has the database with LiteLLM's keys, and the fleet file names another one, which "
                "knows none of them. Take them along (`mirrorfleet docs database`, Move the "
                "database); "
                "then, or to begin anew, run once with --data database=moved."
            )
        return
    if why := weakness(reveal(plan.postgres.password)):
        yield (
            f"would have a Postgres with the password of {plan.postgres.password}: it {why}. "
            "Make a random one, for example with: openssl rand -hex 32."
        )
    yield from service.refusals(service_of(plan.postgres, seen), seen)


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed about a host's Postgres, one by one."""
    if plan.postgres:
        yield from runtime.lacks(seen, PACKAGES, render.USER)
        yield from drift.changes(service_of(plan.postgres, seen), seen)
        for file in files.unlike(units(plan), seen):
            how = "differs" if file.path in seen.files else "is missing"
            yield Change(f"{file.path} {how}", old=file.path, new=(file.content or b"").decode())
        if not _is_timed(seen):
            yield Change(f"{render.TIMER} is not active and enabled")
        if _has_former(plan.postgres, seen):
            former = "postgres: any former password of the gateways"
            if waits := absent():
                yield Change(f"{former} counts until {', '.join(waits)} take part in a run")
            else:
                yield Change(f"{former} goes")
    yield from service_removal.changes(_departed(plan, seen))


def remarks(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield that the last backup has failed, if it has."""
    if plan.postgres and seen.units.get(render.BACKUP, Unit()).active == "failed":
        yield f"the last backup failed; journalctl -u {render.BACKUP} tells why"


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Nothing is sent but the configuration."""


def units(plan: HostPlan) -> list[files.SystemFile]:
    """Return the units beside the server's own: they have a backup made every day."""
    return render.backup(plan.postgres) if plan.postgres else []


@deploy("Postgres")
def serve() -> None:
    """Make the host serve the gateways' Postgres, if it is to."""
    if not runtime.plan().postgres:
        return
    prepare(name="no cluster of the package's own")
    runtime.ensure_packages(*PACKAGES)
    runtime.ensure_user(render.USER)
    place(name="new generation, beside the running one")
    switch(name="switch, restart, wait until it answers")
    time(name="a backup every day")


@deploy("Postgres")
def retire() -> None:
    """End the passwords that the gateways had until now."""
    if runtime.plan().postgres:
        end(name="former passwords go, and let nobody in")


@deploy("Postgres")
def leave() -> None:
    """Take the gateways' Postgres off this host, if it has left the fleet file."""
    stop(name="server that has left the fleet file; its data stay")


@operation
def prepare() -> Commands:
    """Keep the package from starting a server of its own when it is installed."""
    if PACKAGE not in runtime.seen().packages:
        yield script(ALONE)


@operation
def place() -> Commands:
    """Put a changed generation on the host; what runs is not touched."""
    if postgres := runtime.plan().postgres:
        yield from generations.place(service_of(postgres, runtime.seen()), runtime.seen())


@operation
def switch() -> Commands:
    """Switch to a changed generation."""
    if postgres := runtime.plan().postgres:
        yield from generations.switch(service_of(postgres, runtime.seen()), runtime.seen())


@operation
def end() -> Commands:
    """Once all gateways have the password that is wanted, let in nobody with another one."""
    postgres, seen = runtime.plan().postgres, runtime.seen()
    if postgres and _has_former(postgres, seen) and not absent():
        yield from behind(lambda plan: plan.gateway, _retire())


@operation
def time() -> Commands:
    """Have a backup made every day."""
    wanted, seen = units(runtime.plan()), runtime.seen()
    if wanted and (files.unlike(wanted, seen) or not _is_timed(seen)):
        yield from files.install(wanted, seen, then=render.START_TIMER)


@operation
def stop() -> Commands:
    """Stop and remove the server and its backups' timer. Its data and its backups stay."""
    yield from service_removal.remove(_departed(runtime.plan(), runtime.seen()))


def _has_former(postgres: PostgresPlan, seen: Observation) -> bool:
    """May a former password let in, once this run has started the server?"""
    changes_now = render.MADE in seen.paths and not drift.is_started(
        service_of(postgres, seen), seen
    )
    return changes_now or render.FORMER in seen.paths


def _retire() -> Commands:
    yield script(render.RETIRE)


def _is_timed(seen: Observation) -> bool:
    state = seen.units.get(render.TIMER, Unit())
    return (state.active, state.enabled) == ("active", "enabled")


def _departed(plan: HostPlan, seen: Observation) -> list[str]:
    wanted = [render.NAME, f"{render.NAME}-backup"] if plan.postgres else []
    return service_removal.departed(render.SERVICES, wanted, seen)


def _is_elsewhere() -> bool:
    """Does the fleet have a database, on whatever host?"""
    plans = (each.data.get("plan") for each in ctx_state.get().inventory)  # type: ignore[no-untyped-call]
    return any(plan and plan.migrations for plan in plans)


@once
def service_of(postgres: PostgresPlan, seen: Observation) -> service.Service:
    admitted = sorted(str(each) for name in postgres.allowed_sources for each in networks(name))
    return render.service(postgres, reveal(postgres.password), admitted)
