"""System packages and system users that a host does not have yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Package, User
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call, shell

SCRIPTS = Path(__file__).parent / "scripts"

INSTALL = shell(SCRIPTS / "packages.sh")
"""A shell function, `install_packages`; its arguments are the names of packages."""


def install(names: Iterable[str], observed: Observation) -> Commands:
    """Install the packages that the host does not have."""
    if missing := [name for name in names if not observed[Package(name)]]:
        yield script(INSTALL + call("install_packages", *missing))


def create_user(user: str, observed: Observation) -> Commands:
    """Create the system user of a service: without a home, a shell or a password."""
    if observed[User(user)] is None:
        yield script(shell(SCRIPTS / "create_user.sh", user=user))


def missing(observed: Observation, packages: Iterable[str], user: str = "") -> Iterator[Change]:
    """Yield the packages and the user that a run will add."""
    for name in packages:
        if not observed[Package(name)]:
            yield Change(f"package {name} is missing")
    if user and observed[User(user)] is None:
        yield Change(f"user {user} is missing")
