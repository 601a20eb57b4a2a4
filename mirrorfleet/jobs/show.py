"""The files that each host of a fleet will get: mirrorfleet show FILE

It contacts no host and reads no secret: references replace values, and defaults replace what only a
live host knows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256

from pyinfra.api.exceptions import DeployError

from mirrorfleet import fleet
from mirrorfleet.config.problems import FleetError, did_you_mean
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.registry import roles
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.secrets import references_only

A_HOST = assumed(architecture="x86_64")
"""An assumed host: defaults replace what only a live host knows."""


def main(arguments: list[str]) -> int:
    """Print the files of a fleet's hosts, or of one host. Return the exit code."""
    file, *names = arguments
    try:
        planned = fleet.plan(fleet.load(file))
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    for name in names:
        if name not in planned.hosts:
            known = did_you_mean(name, planned.hosts)
            print(f"There is no host '{name}'. {known}".rstrip(), file=sys.stderr)
            return 1
    try:
        for name in names or planned.hosts:
            for path, content in files(planned.hosts[name]):
                print(f"==> {name}: {path} <==\n{content}")
    except BrokenPipeError:
        raise  # the reader, such as `head`, has closed the pipe
    except (DeployError, OSError) as error:
        print(f"{name} {error}", file=sys.stderr)
        return 1
    return 0


def files(plan: HostPlan) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every file that a host will get.

    Programs are left out: they are unchanged files of roles/.
    """
    with references_only() as references:
        for role in roles():
            for path, content in role.files(plan, A_HOST):
                # Gateways get the digest of a developer's key: show the reference of the key.
                for secret in references:
                    digest = sha256(secret.encode()).hexdigest()
                    content = content.replace(digest, f"sha256 of {secret}")
                yield path, content
