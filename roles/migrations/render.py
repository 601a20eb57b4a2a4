"""Pure: how psql reaches the database, what the database says of itself, and what is to be run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import MigrationsPlan
from mirrorfleet.roles.migrations.facts import Database
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.tables import fingerprint
from mirrorfleet.runtime.text import environment_file

DIRECTORY = f"{ROOT}/migrations"
SETTINGS = f"{DIRECTORY}/settings"
"""For root alone: with the password of a database that is not ours."""

SOCKET = "/run/mirrorfleet-postgres"
BACKUP = "mirrorfleet-postgres-backup.service"
"""Of a Postgres of ours on the same host."""

FILES = Path(__file__).parent / "files"
SQL = ("record.sql", "indexes.sql")

PSQL = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
"""What a URL may say that concerns psql, by the variable that tells it."""

PRISMA = {"sslaccept", "sslcert", "connect_timeout", "socket_timeout", "pool_timeout", "pgbouncer"}
"""What a URL may say to LiteLLM's client alone."""


@dataclass(frozen=True)
class State:
    """What a database says: whose tables it has, and the digest of the salt key that it is for."""

    max_connections: int
    release: str
    salt_key: str


_STATE = re.compile(r"(\d+) (?:mirrorfleet: (.+), salt key ([0-9a-f]{12}))?")


def state(observed: Observation) -> State | None:
    """Return what the database has said, ``None`` where it was not there to be asked."""
    found = _STATE.match(observed[Database(SETTINGS)] or "")
    return State(int(found[1]), found[2] or "", found[3] or "") if found else None


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def settings(plan: MigrationsPlan, url: str) -> str:
    """Return the settings of psql: for ours, as the root of its host; else as the URL says.

    Raises ``DeployError`` for a URL that psql and LiteLLM would not read alike.
    """
    if plan.url is None:
        said = {
            "PGHOST": SOCKET,
            "PGPORT": str(plan.port),
            "PGUSER": "postgres",
            "PGDATABASE": "litellm",
            "PGOPTIONS": "-c role=litellm",
        }
    else:
        said = _parsed(f"the URL {plan.url} cannot be used", url)
    return environment_file({**said, "PGCONNECT_TIMEOUT": "10"})


def _parsed(bad: str, url: str) -> dict[str, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        raise DeployError(f"{bad}: it is not a URL.") from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not (parts.hostname and parts.username):
        raise DeployError(f"{bad}: it is not like postgresql://USER:PASSWORD@HOST/DATABASE.")
    if not database or "/" in database:
        raise DeployError(f"{bad}: it names no database.")
    said = {
        "PGHOST": parts.hostname,
        "PGPORT": str(port),
        "PGUSER": unquote(parts.username),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": database,
    }
    for name, value in parse_qsl(parts.query):
        if name in PSQL:
            said[PSQL[name]] = value
        elif name == "connection_limit":
            raise DeployError(f"{bad}: write gateway.database.connection_pool_limit, not {name}.")
        elif name not in PRISMA:
            raise DeployError(f"{bad}: '{name}' is not known. Remove it.")
    return said


def command(plan: MigrationsPlan, salt_key: str, release: str, *, asked: bool) -> str:
    """Return the shell script that runs the migrations of its standard input."""
    return UNPACK + shell(
        FILES / "migrate.sh",
        release=release,
        salt=fingerprint(salt_key),
        asked="yes" if asked else "no",
        needed=plan.max_connections,
        directory=DIRECTORY,
        backup="" if plan.url else BACKUP,
    )


def payload(plan: MigrationsPlan, url: str, migrations: Mapping[str, bytes]) -> str:
    """Return the standard input of ``command``: settings and migrations."""
    return pack(
        [
            Member("settings", settings(plan, url).encode(), "600"),
            *(Member(name, (FILES / name).read_bytes()) for name in SQL),
            *(Member(path, content) for path, content in migrations.items()),
        ]
    )
