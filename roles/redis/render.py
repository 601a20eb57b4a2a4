"""Pure: from the plan of a Redis to its configuration and unit."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from mirrorfleet.planning import RedisPlan
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.service import Installed, Service
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import template

NAME = "redis"
USER = "mirrorfleet-redis"
TEMPLATES = Path(__file__).parent / "templates"

START = 30
"""Seconds from start to the first answer: Redis loads no data."""

HOOKS = Path(__file__).parent / "files" / "hooks.sh"


def installed(redis: RedisPlan) -> Installed:
    """Return what all generations share."""
    return Installed(
        name=NAME,
        user=USER,
        port=redis.port,
        software=None,
        hooks=shell(HOOKS, listen=redis.listen),
        seconds=START,
    )


def service(redis: RedisPlan, password: str) -> Service:
    """Return the service. Its user can read the password's digest, but not the password."""
    return Service(
        **vars(installed(redis)),
        unit=template(TEMPLATES / "unit.service.j2", user=USER, directory=f"{ROOT}/{NAME}"),
        environment={"REDISCLI_AUTH": password},
        files={
            "redis.conf": template(
                TEMPLATES / "redis.conf.j2",
                listen=redis.listen,
                port=redis.port,
                digest=sha256(password.encode()).hexdigest(),
            )
        },
    )
