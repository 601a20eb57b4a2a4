"""Python environments on a host: built from a lock file, complete or not at all."""

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
from mirrorfleet.runtime import locks, standalone_python
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
"""The lock file of uv, which installs the environments."""

OLDEST = (3, 11)
"""The oldest Python for environments. A host with an older one gets `standalone_python`."""

OLDEST_FOR_PROGRAMS = (3, 9)
"""The oldest Python for Mirrorfleet's own programs, which the host's `python3` runs."""

DISTRIBUTION = {
    ("debian", "11"): "3.9.2",
    ("debian", "12"): "3.11.2",
    ("debian", "13"): "3.13.5",
    ("ubuntu", "22.04"): "3.10.12",
    ("ubuntu", "24.04"): "3.12.3",
}
"""The version of a distribution's package `python3`, for hosts without Python."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment of a role.

    ``finish`` is a shell script that completes it; ``$environment`` is its directory. The name of
    the directory depends on the lock file and on ``identity``: a different ``finish`` needs a
    different identity. ``number`` distinguishes directories of the same name: see `located`.
    ``size`` is its minimum size in bytes, ``wheels`` that of its wheels.
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
        """Its directory. Each lock file has its own, so an environment in use does not change.

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
        """The file that is written last: without it, an interrupted run left the environment."""
        return f"{self.directory}/.complete"

    @property
    def facts(self) -> list[Fact[Any]]:
        """The facts of a host that needs this environment."""
        return [Python(), Environments(self.directory)]


@cache
def _digest(lock: Path, changed: int, identity: str) -> str:
    """Return the digest of a lock file and an identity, cached until the file has ``changed``."""
    # Additional indexes do not change what is installed.
    lines = lock.read_bytes().splitlines(keepends=True)
    content = b"".join(line for line in lines if not line.startswith(INDEX.encode()))
    return sha256(content + identity.encode()).hexdigest()[:8]


def python(observed: Observation) -> str:
    """Return the version of the host's Python ("3.11.2"), or of its `python3` package."""
    machine = observed.machine
    return observed[Python()] or DISTRIBUTION.get((machine.system, machine.release), "none")


def needs_standalone(observed: Observation) -> bool:
    """Return whether the host's Python is too old for environments."""
    found = python(observed)
    return found != "none" and _parts(found) < OLDEST


def for_environments(observed: Observation) -> str:
    """Return the version of the Python with which a run builds environments on the host."""
    return standalone_python.version() if needs_standalone(observed) else python(observed)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def problems(
    observed: Observation, environments: Iterable[Environment], *, pushed: bool = False
) -> Iterator[Problem]:
    """Yield why the host cannot get these Python environments.

    ``pushed``: the controller sends their wheels to the host.
    """
    found, fix = python(observed), "Use Debian 12, Ubuntu 22.04 or newer."
    if found == "none":
        system = f"{observed.machine.system} {observed.machine.release}"
        yield error(f"python3 is missing, and no known package of {system} has it.", fix)
        return
    if _parts(found) < OLDEST_FOR_PROGRAMS:
        oldest = ".".join(map(str, OLDEST_FOR_PROGRAMS))
        yield error(f"Python is {found}; the minimum is {oldest}.", fix)
        return
    missing = {each for each in environments if not is_installed(each, observed)}
    brought = standalone_python.SIZE if needs_standalone(observed) else 0
    size = sum(each.size + brought for each in missing)
    wheels = sum(each.wheels for each in missing) if pushed else 0
    # A build unpacks all wheels below STATE, and links them if that is the same disk. Directories
    # with the same free space are on one disk: report it once, with the largest need.
    needs = ((ROOT, size), (STATE, size + wheels))
    # A role may request one of the two facts only.
    spaces = {place: observed.get(Disk(place)) for place, _ in needs}
    disks = {free: (place, need) for place, need in needs if (free := spaces[place]) is not None}
    for free, (place, needed) in disks.items():
        if needed > free:
            yield error(
                f"software needs at least {needed / 1e9:.2f} GB below {place}, but "
                f"{free / 1e9:.2f} GB are free.",
                "Free space there.",
            )


def located(environment: Environment, observed: Observation) -> Environment:
    """Return the environment with the number of its directory on the host, present or future.

    An environment that another program has changed is not repaired: a service may run from it. It
    is built again in another directory. So the service gets a new generation, and restarts as for
    any other change.
    """
    present = observed[Environments(environment.directory)]
    candidates = [replace(environment, number=number) for number in range(1, 10)]
    intact = [each for each in candidates if present.get(each.directory) == ""]
    free = [each for each in candidates if each.directory not in present]
    return [*intact, *free][0]


def is_installed(environment: Environment, observed: Observation) -> bool:
    """Return whether the host has the environment, unchanged since it was installed."""
    return "" in observed[Environments(environment.directory)].values()


def changes(environment: Environment, observed: Observation) -> Iterator[Change]:
    """Yield the environment, if a run will build it."""
    if is_installed(environment, observed):
        return
    for changed in observed[Environments(environment.directory)].values():
        yield Change(
            f"{changed} was changed since it was installed: the environment will be built again"
        )
    directory = located(environment, observed).directory
    brought = f", because the host's is {python(observed)}" if needs_standalone(observed) else ""
    yield Change(f"{directory} is missing for Python {for_environments(observed)}{brought}")


def install(environment: Environment, plan: HostPlan, observed: Observation) -> Commands:
    """Build the environment on the host, from the controller's wheels or from a package index."""
    archive = fetch(environment, plan, observed)
    if archive is None:
        return
    environment = located(environment, observed)
    offline = ("--offline", "--no-index") if plan.packages == "controller" else ()
    directory = environment.directory
    name = f"{environment.role} {environment.lock.stem}"
    build = shell(
        SCRIPTS / "build_environment.sh",
        environment=directory,
        what=f"environment {name}",
        expected=environment.size // 10**6,
    )
    complete = shell(SCRIPTS / "complete_environment.sh")
    yield from upload(
        archive,
        positional(*offline) + build + environment.finish + complete,
        what=f"wheels of {name}",
        shows=True,
    )


def fetch(environment: Environment, plan: HostPlan, observed: Observation) -> Path | None:
    """Download what the host will receive: uv, and wheels with `packages: controller`.

    Wheels that the package index does not have are always sent, and so is the Python that replaces
    one that is too old. Returns the archive's path, ``None`` when the host has the environment.
    """
    if is_installed(environment, observed):
        return None
    host = (for_environments(observed), observed.machine.architecture)
    text = locks.text(environment.lock)
    installer, needed = (locks.for_host(lock, *host) for lock in (UV.read_text("utf-8"), text))
    others = indexes(text)
    sent = needed if plan.packages == "controller" else locks.split(needed, others)[0]
    name = f"{environment.role}-{environment.lock.stem}"
    more = {}
    if needs_standalone(observed):
        more[standalone_python.NAME] = standalone_python.fetch(observed.machine.architecture)
    return wheels(installer + sent, name, *host, also=needed, indexes=others, more=more)
