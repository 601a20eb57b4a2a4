"""Migrations of LiteLLM's database, in a real Postgres that no kill meets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from mirrorfleet.config.reader import Secret
from mirrorfleet.planning import HostPlan, MigrationsPlan
from mirrorfleet.roles.migrations import render, role, wheel
from mirrorfleet.roles.migrations.facts import Database
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.observe import Observation
from tests.kills.case import Case
from tests.kills.world import Host

DATA = "/srv/postgres"
URL = "postgresql://litellm:a-password@127.0.0.1:5432/litellm"
SALT = "c81e5a0d93f7426bb0de614f2a97c53d-key-of-the-tests"

MISSING = 10
"""The migrations that are missing before the run: the last ones."""

STATE = """\
SELECT migration_name, finished_at IS NOT NULL, rolled_back_at IS NULL, checksum
FROM _prisma_migrations ORDER BY 1, 2;
SELECT obj_description('_prisma_migrations'::regclass, 'pg_class');
SELECT count(*) FROM pg_index WHERE NOT indisvalid;
"""


def cases(gateway: HostPlan) -> Iterator[Case]:
    assert gateway.gateway
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        print("left out, because this machine has no Postgres: migrations of the database")
        return
    os.environ |= {"KILLED_URL": URL, "KILLED_SALT": SALT}
    plan = MigrationsPlan(
        version=gateway.gateway.version,
        lock=gateway.gateway.lock,
        url=Secret("env", "KILLED_URL", Path("/")),
        port=5432,
        salt_key=Secret("env", "KILLED_SALT", Path("/")),
        max_connections=20,
    )
    every = wheel.migrations(plan)
    settings = render.settings(plan, URL)

    def run(migrations: Mapping[str, bytes], release: str) -> Commands:
        text = render.command(plan, SALT, release, confirmed=False)
        yield visible_script(text, render.payload(plan, URL, migrations))

    def migrated(host: Host) -> None:
        _create(host)
        start(host)
        first = dict(sorted(every.items())[:-MISSING])
        for command in run(first, "a former release"):
            host.complete(command)
        _stop(host)

    def migrate(observed: Observation) -> Commands:
        if role._is_due(plan, observed):
            yield from run(every, wheel.release(plan))

    yield Case(
        "migrations of the database",
        [Database(render.SETTINGS, render.digest(settings))],
        migrate,
        migrated,
        start=start,
        state=_state,
        ignored=[DATA[1:], "run/postgresql"],
        server="postgres",
    )


def _create(host: Host) -> None:
    host.call(
        "sh", "-c", f"install -d -o postgres {DATA} && install -d -o postgres /run/postgresql"
    )
    _as_postgres(host, f"/usr/lib/postgresql/*/bin/initdb -D {DATA} --auth=trust --no-sync")
    start(host)
    for line in ("CREATE ROLE litellm LOGIN", "CREATE DATABASE litellm OWNER litellm"):
        host.call("psql", "-qw", "-U", "postgres", "-h", "127.0.0.1", "-c", line)
    _stop(host)


def start(host: Host) -> None:
    """Start the server, in the host's own process namespace: no kill meets it."""
    run = "/run/postgresql"
    options = f"-c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories={run}"
    server = f"/usr/lib/postgresql/*/bin/pg_ctl -D {DATA} -w -s -l {run}/log"
    _as_postgres(host, f"{server} -o '{options}' start")


def _stop(host: Host) -> None:
    _as_postgres(host, f"/usr/lib/postgresql/*/bin/pg_ctl -D {DATA} -w -s stop")


def _as_postgres(host: Host, command: str) -> None:
    host.call("runuser", "-u", "postgres", "--", "sh", "-c", f"{command} >/dev/null")


def _state(host: Host) -> str:
    """Return the tables and the records of the database, once no killed session is left."""
    ask = ["psql", "-XAtqw", "-U", "postgres", "-h", "127.0.0.1", "-d", "litellm"]
    found = host.call(*ask, stdin=STATE)
    dump = ["pg_dump", "--schema-only", "-U", "postgres", "-h", "127.0.0.1", "litellm"]
    lines = host.call(*dump).splitlines()
    # pg_dump makes a new token each time.
    schema = [line for line in lines if not line.startswith(("\\restrict", "\\unrestrict"))]
    return found + "\n".join(schema)
