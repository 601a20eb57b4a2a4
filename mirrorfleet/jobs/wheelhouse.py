"""Download everything that hosts will receive: mirrorfleet fetch FILE

It contacts no host: the arguments set the hosts' Python and architecture.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyinfra.api.exceptions import DeployError

from mirrorfleet import fleet
from mirrorfleet.config.problems import FleetError
from mirrorfleet.roles.registry import roles
from mirrorfleet.runtime import cache
from mirrorfleet.runtime.facts.python import Python
from mirrorfleet.runtime.observe import assumed


def main(path: str, python: str, architecture: str, to: str | None) -> int:
    """Download into this user's cache or the directory ``to``. Return the exit code."""
    try:
        planned = fleet.plan(fleet.load(path))
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    if planned.fleet.packages != "controller":
        print(
            f"{path}: packages is '{planned.fleet.packages}', so hosts download packages. "
            "Set packages: controller.",
            file=sys.stderr,
        )
        return 1
    if to:
        os.environ["XDG_CACHE_HOME"] = str(Path(to).resolve())
    host = assumed({Python(): python}, architecture=architecture)
    try:
        for plan in planned.hosts.values():
            for role in roles():
                role.fetch(plan, host)
    except (DeployError, OSError) as error:
        print(f"{plan.name}: {error}", file=sys.stderr)
        return 1
    print(f"{cache.directory()} has the files of {path} for Python {python} on {architecture}")
    return 0
