"""Pure: the settings of psql, the state of the database, and the command for the migrations."""

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
"""Only root can read it: it has the password of an external database."""

SOCKET = "/run/mirrorfleet-postgres"
BACKUP = "mirrorfleet-postgres-backup.service"
"""The backup unit of a Postgres that Mirrorfleet installs on the same host."""

FILES = Path(__file__).parent / "files"
SQL = ("record.sql", "indexes.sql")

PSQL = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
"""The options of a URL for psql, with psql's variables."""

PRISMA = {"sslaccept", "sslcert", "connect_timeout", "socket_timeout", "pool_timeout", "pgbouncer"}
"""The options of a URL that only LiteLLM's client uses."""


@dataclass(frozen=True)
class State:
    """The state of a database: the release of its tables, and the digest of its salt key."""

    max_connections: int
    release: str
    salt_key: str


_STATE = re.compile(r"(\d+) (?:mirrorfleet: (.+), salt key ([0-9a-f]{12}))?")


def state(observed: Observation) -> State | None:
    """Return the state of the database, ``None`` if it did not answer."""
    found = _STATE.match(observed[Database(SETTINGS)] or "")
    return State(int(found[1]), found[2] or "", found[3] or "") if found else None


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return sha256(text.encode()).hexdigest()


def settings(plan: MigrationsPlan, url: str) -> str:
    """Return the settings of psql: local access as root, or those of the URL.

    Raises ``DeployError`` for a URL that psql and LiteLLM would read differently.
    """
    if plan.url is None:
        values = {
            "PGHOST": SOCKET,
            "PGPORT": str(plan.port),
            "PGUSER": "postgres",
            "PGDATABASE": "litellm",
            "PGOPTIONS": "-c role=litellm",
        }
    else:
        values = _parsed(f"the URL {plan.url} cannot be used", url)
    return environment_file({**values, "PGCONNECT_TIMEOUT": "10"})


def _parsed(mistake: str, url: str) -> dict[str, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        raise DeployError(f"{mistake}: it is not a URL.") from None
    database = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not (parts.hostname and parts.username):
        raise DeployError(
            f"{mistake}: it does not have the form postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    if not database or "/" in database:
        raise DeployError(f"{mistake}: the database is missing.")
    values = {
        "PGHOST": parts.hostname,
        "PGPORT": str(port),
        "PGUSER": unquote(parts.username),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": database,
    }
    for name, value in parse_qsl(parts.query):
        if name in PSQL:
            values[PSQL[name]] = value
        elif name == "connection_limit":
            raise DeployError(
                f"{mistake}: set gateway.database.connection_pool_limit instead of {name}."
            )
        elif name not in PRISMA:
            raise DeployError(f"{mistake}: remove the unknown option '{name}'.")
    return values


def command(plan: MigrationsPlan, salt_key: str, release: str, *, confirmed: bool) -> str:
    """Return the shell script that runs the migrations on its standard input.

    ``confirmed``: the user has confirmed another salt key.
    """
    return UNPACK + shell(
        FILES / "migrate.sh",
        release=release,
        salt=fingerprint(salt_key),
        confirmed="yes" if confirmed else "no",
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
