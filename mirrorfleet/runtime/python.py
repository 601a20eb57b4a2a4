"""Python environments on a host: from a lock file, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.lock_files import INDEX, indexes
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import locks
from mirrorfleet.runtime.cache import wheels
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Disk, Fact
from mirrorfleet.runtime.facts.python import Environments, Python
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import positional, shell
from mirrorfleet.runtime.upload import upload

SCRIPTS = Path(__file__).parent / "scripts"
UV = Path(__file__).parent / "locks" / "uv.txt"
"""The installer, as locked as what it installs."""

OLDEST = (3, 11)

DISTRIBUTION = {
    ("debian", "12"): "3.11.2",
    ("debian", "13"): "3.13.5",
    ("ubuntu", "24.04"): "3.12.3",
}
"""The Python that a distribution's package `python3` brings, for hosts that have none yet."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment of a role.

    ``finish`` is a shell script that completes it, with its place as ``$environment``. Of
    ``identity`` the name of its place is made, as of the lock file: another way to complete it
    needs another identity. ``number`` tells apart the places of the same name: see ``standing``.
    ``size`` is how many bytes it takes on a disk at the least, ``wheels`` how many it takes packed.
    """

    role: str
    lock: Path
    finish: str = ""
    identity: str = "true"
    number: int = 1
    size: int = 0
    wheels: int = 0

    @property
    def directory(self) -> str:
        """Where it stands; another lock file is another directory, so nothing in use changes.

        Raises ``DeployError`` if the lock file is missing.
        """
        try:
            changed = self.lock.stat().st_mtime_ns
        except OSError:
            raise DeployError(f"the lock file {self.lock} is missing.") from None
        digest = _digest(self.lock, changed, self.identity)
        number = f"-{self.number}" if self.number > 1 else ""
        return f"{ROOT}/{self.role}/environments/{self.lock.stem}-{digest}{number}"

    @property
    def complete(self) -> str:
        """The file that is written last: without it, an environment is a torso of a cut run."""
        return f"{self.directory}/.complete"

    @property
    def facts(self) -> list[Fact[Any]]:
        """What must be known of a host that has this one, or will."""
        return [Python(), Environments(self.directory)]


@cache
def _digest(lock: Path, changed: int, identity: str) -> str:
    """Return the digest of a lock file as it was when last ``changed``: every host asks for it."""
    # Where else a package is had changes nothing about what is installed.
    lines = lock.read_bytes().splitlines(keepends=True)
    content = b"".join(line for line in lines if not line.startswith(INDEX.encode()))
    return sha256(content + identity.encode()).hexdigest()[:8]


def python(observed: Observation) -> str:
    """Return the host's Python version ("3.11.2"), or the one that its `python3` package brings."""
    machine = observed.machine
    return observed[Python()] or DISTRIBUTION.get((machine.system, machine.release), "none")


def problems(
    observed: Observation, environments: Iterable[Environment], *, pushed: bool = False
) -> Iterator[Problem]:
    """Yield why the host cannot have these Python environments.

    ``pushed``: the host is sent their wheels, and does not fetch them one by one.
    """
    found, fix = python(observed), "Use Debian 12, Ubuntu 24.04 or newer."
    if found == "none":
        system = f"{observed.machine.system} {observed.machine.release}"
        yield error(f"there is no python3, and no known package of {system} brings one.", fix)
        return
    if tuple(map(int, found.split(".")[:2])) < OLDEST:
        yield error(f"Python is {found}; the minimum is {'.'.join(map(str, OLDEST))}.", fix)
        return
    missing = {each for each in environments if not is_standing(each, observed)}
    size = sum(each.size for each in missing)
    wheels = sum(each.wheels for each in missing) if pushed else 0
    # Where they are built, all is unpacked first, and linked from there if that is the same disk.
    # Places with the same room are on one disk: report it once, with what it needs at the most.
    needs = ((ROOT, size), (STATE, size + wheels))
    # A role may ask for one of the two only.
    rooms = {place: observed.get(Disk(place)) for place, _ in needs}
    disks = {free: (place, need) for place, need in needs if (free := rooms[place]) is not None}
    for free, (place, needed) in disks.items():
        if needed > free:
            yield error(
                f"software needs at least {needed / 1e9:.2f} GB below {place}, and "
                f"{free / 1e9:.2f} GB are free.",
                "Make room there.",
            )


def standing(environment: Environment, observed: Observation) -> Environment:
    """Return the environment in the place where the host has it as it was installed, or will.

    One that another hand has changed is not mended in its place: a service may run from there. It
    is built anew in another, so the service gets a new generation, and is restarted as with any
    other change.
    """
    there = observed[Environments(environment.directory)]
    places = [replace(environment, number=number) for number in range(1, 10)]
    whole = [each for each in places if there.get(each.directory) == ""]
    free = [each for each in places if each.directory not in there]
    return [*whole, *free][0]


def is_standing(environment: Environment, observed: Observation) -> bool:
    """Does the host have the environment, as it was installed?"""
    return "" in observed[Environments(environment.directory)].values()


def changes(environment: Environment, observed: Observation) -> Iterator[Change]:
    """Yield the environment, if the host will be given it."""
    if is_standing(environment, observed):
        return
    for changed in observed[Environments(environment.directory)].values():
        yield Change(f"{changed} was changed since it was installed: the environment is built anew")
    place = standing(environment, observed).directory
    yield Change(f"{place} is missing for Python {python(observed)}")


def install(environment: Environment, plan: HostPlan, observed: Observation) -> Commands:
    """Build the environment on the host, from wheels of the controller or from the registry."""
    archive = fetch(environment, plan, observed)
    if archive is None:
        return
    environment = standing(environment, observed)
    offline = ("--offline", "--no-index") if plan.packages == "controller" else ()
    directory = environment.directory
    build = shell(SCRIPTS / "build_environment.sh", environment=directory)
    complete = shell(SCRIPTS / "complete_environment.sh")
    yield from upload(archive, positional(*offline) + build + environment.finish + complete)


def fetch(environment: Environment, plan: HostPlan, observed: Observation) -> Path | None:
    """Bring what the host will be sent into the cache: uv, and the wheels unless it has a registry.

    Wheels that no registry has are sent in any case. Returns the archive, or None when the host has
    the environment.
    """
    if is_standing(environment, observed):
        return None
    host = (python(observed), observed.machine.architecture)
    text = locks.text(environment.lock)
    installer, wanted = (locks.for_host(each, *host) for each in (UV.read_text("utf-8"), text))
    others = indexes(text)
    sent = wanted if plan.packages == "controller" else locks.split(wanted, others)[0]
    name = f"{environment.role}-{environment.lock.stem}"
    return wheels(installer + sent, name, *host, also=wanted, indexes=others)
