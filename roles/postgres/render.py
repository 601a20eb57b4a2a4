"""Pure: from the plan of a Postgres to its configuration, units and scripts."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import pbkdf2_hmac, sha256
from pathlib import Path

from mirrorfleet.planning import PostgresPlan
from mirrorfleet.runtime.files import SystemFile
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import installed_script, shell
from mirrorfleet.runtime.tables import role
from mirrorfleet.runtime.text import template

NAME = "postgres"
USER = "mirrorfleet-postgres"
DIRECTORY = f"{ROOT}/{NAME}"
DATA = f"{STATE}/{NAME}/data"
BACKUPS = f"{STATE}/{NAME}/backups"
SOCKET = "/run/mirrorfleet-postgres"
"""The socket directory, through which root logs in without a password."""

MADE = f"{STATE}/{NAME}/made"
"""Exists once a database was created, also after its server was removed from the fleet file."""

FORMER = f"{STATE}/{NAME}/former"
"""Exists while the password of another generation may still work."""

SERVICES = f"{NAME}*"
"""A pattern for the server's name and the backup's."""

BACKUP, TIMER = f"mirrorfleet-{NAME}-backup.service", f"mirrorfleet-{NAME}-backup.timer"
UNITS = "/etc/systemd/system"

HERE = Path(__file__).parent
SCRIPTS = ("server.sh", "backup.sh")

START = 120
"""Seconds from start to the first answer: after a crash, the server replays its log first."""

ITERATIONS = 4096
"""The default of Postgres, sufficient for a long random password."""


def installed(postgres: PostgresPlan) -> Installed:
    """Return what all generations share."""
    return Installed(
        name=NAME,
        user=USER,
        port=postgres.port,
        software=None,
        hooks=shell(HERE / "files" / "hooks.sh"),
        seconds=START,
    )


def service(postgres: PostgresPlan, password: str, sources: Sequence[str]) -> Service:
    """Return the service. ``sources`` are the networks of the gateways."""
    return Service(
        **vars(installed(postgres)),
        unit=template(
            HERE / "templates" / "unit.service.j2", user=USER, directory=f"{DIRECTORY}/current"
        ),
        environment={
            "PGHOST": SOCKET,
            "PGPORT": str(postgres.port),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        },
        files={
            "postgresql.conf": template(
                HERE / "templates" / "postgresql.conf.j2",
                directory=f"{DIRECTORY}/current",
                socket=SOCKET,
                listen=postgres.listen,
                port=postgres.port,
                connections=postgres.max_connections,
            ),
            "pg_hba.conf": template(HERE / "templates" / "pg_hba.conf.j2", admitted=sources),
            "pg_ident.conf": f"mirrorfleet root postgres\nmirrorfleet {USER} postgres\n",
            "setup.sql": template(
                HERE / "templates" / "setup.sql.j2",
                role=role(password),
                verifier=verifier(password, _salt(postgres)),
            ),
            "retire.sql": template(HERE / "templates" / "retire.sql.j2", role=role(password)),
            **{name: installed_script(HERE / "files" / name) for name in SCRIPTS},
        },
        secret_files=frozenset({"setup.sql"}),
    )


def backup(postgres: PostgresPlan) -> list[SystemFile]:
    """Return the units for a daily backup."""
    values = {
        "user": USER,
        "directory": f"{DIRECTORY}/current",
        "days": postgres.days,
        "at": postgres.at,
    }
    return [
        SystemFile(
            f"{UNITS}/{name}", template(HERE / "templates" / f"{kind}.j2", **values).encode()
        )
        for name, kind in ((BACKUP, "backup.service"), (TIMER, "backup.timer"))
    ]


def retire() -> str:
    """Return the script that revokes the passwords of former generations."""
    return shell(HERE / "files" / "retire.sh", directory=DIRECTORY, former=FORMER)


def start_timer() -> str:
    """Return the script that starts the timer of the backups."""
    return shell(HERE / "files" / "start_timer.sh", timer=TIMER)


def _salt(postgres: PostgresPlan) -> bytes:
    """Return a salt, the same in every run, so that a run without changes writes no password."""
    return sha256(f"mirrorfleet {postgres.listen}:{postgres.port}".encode()).digest()[:16]


def verifier(password: str, salt: bytes) -> str:
    """Return the SCRAM verifier of a password, with which no client can log in (RFC 5803)."""
    key = pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client, server = (hmac.digest(key, word, "sha256") for word in (b"Client Key", b"Server Key"))
    text = [base64.b64encode(each).decode() for each in (salt, sha256(client).digest(), server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{text[0]}${text[1]}:{text[2]}"
