"""Compare the releases of a fleet with advisories: for `mirrorfleet audit`.

The fleet file's releases and the pins of its lock files, and what runs on the hosts. No host is
changed. This module reads files and hosts; the others are pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

from pyinfra.api import Host

from mirrorfleet.config import Fleet, reading
from mirrorfleet.jobs.audit.findings import Installed, Release, of_fleet, parse
from mirrorfleet.runtime.observe import TIMEOUT, read_host, script
from mirrorfleet.runtime.shell import shell

SCRIPT = shell(Path(__file__).parent / "installed.sh")


def read(host: Host) -> Installed:
    """Return what a host has, in one exec. Raises ``DeployError``, or ``ValueError``."""
    lines = read_host(host, script((), SCRIPT), TIMEOUT)
    return parse(dropwhile(lambda line: line.startswith("machine\t"), lines))


def used(fleet: Fleet) -> Iterator[tuple[Release, str]]:
    """Yield the releases that a fleet file installs, each with the key that chooses it."""
    texts = {
        (service, name): reading.text(lock.path)
        for service, locks in fleet.locks.files.items()
        for name, lock in locks.items()
    }
    return of_fleet(fleet, texts)
