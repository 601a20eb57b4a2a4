"""The ports of a host's services, reserved for the users of these services.

No key goes to a port that a local user took while a service drained or restarted, and no service
finds its port taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.commands import Commands, operation, script
from mirrorfleet.runtime.deferred_removal import last
from mirrorfleet.runtime.observe import Observation, Question, Unit
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.reserved import PROGRAM, RELEASE, UNIT, UNIT_PATH
from mirrorfleet.runtime.rollout import is_skipped, serves
from mirrorfleet.runtime.shell import call, shell
from mirrorfleet.runtime.text import template

HERE = Path(__file__).parent

STATE = "/run/mirrorfleet/ports"
"""What reserve_ports.py says of its last run."""


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host with services, or of one that had some."""
    asked: list[Question] = [("tree", PROGRAM)]
    if serves(plan):
        asked += [("tree", UNIT_PATH), ("unit", UNIT), ("content", STATE)]
    return asked


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why ports cannot be reserved: nothing that stops a run."""
    return []


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed about reserved ports."""
    if is_skipped(plan):
        return
    if not serves(plan):
        if PROGRAM in seen.files:
            yield Change(f"{UNIT} will be removed")
        return
    for path, text in installed().items():
        if seen.files.get(path) != f"644 root:root {sha256(text.encode()).hexdigest()}":
            how = "differs" if path in seen.files else "is missing"
            yield Change(f"{path} {how}", old=path, new=text)
    state = seen.units.get(UNIT, Unit())
    if UNIT_PATH in seen.files and (state.active, state.enabled) != ("active", "enabled"):
        yield Change(f"{UNIT} is {state.active}, {state.enabled}")


def remarks(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield why the kernel of a host cannot reserve ports."""
    said = seen.contents.get(STATE, b"").decode(errors="replace").strip()
    if serves(plan) and said.startswith("not reserved"):
        yield (
            f"ports are {said}. A local user of this host can listen on the port of a service that "
            "restarts, and get its clients' keys: let nobody log in, or use Linux 5.14 or newer "
            "with cgroup v2."
        )


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring nothing: the program is here."""


@deploy("Ports")
def reserve() -> None:
    """Reserve the ports of this host's services, now and at boot."""
    install(name="reserved ports")


@deploy("Ports")
def release() -> None:
    """Release the ports of a host that has no service any more."""
    remove(name="ports, no longer reserved")


@operation
def install() -> Commands:
    """Install the program and its unit, and run it."""
    if serves(runtime.plan()) and any(changes(runtime.plan(), runtime.seen())):
        members = [Member(Path(path).name, text.encode()) for path, text in installed().items()]
        install = shell(HERE / "files" / "install.sh", unit=UNIT)
        yield script(UNPACK + runtime.INSTALL + install, pack(members))


@operation
def remove() -> Commands:
    """Release the ports, and remove the program and its unit."""
    if not serves(runtime.plan()) and PROGRAM in runtime.seen().files:
        remove = shell(HERE / "files" / "remove.sh", unit=UNIT, report=STATE)
        yield from last([script(RELEASE + call("release_ports") + remove)])


def installed() -> dict[str, str]:
    """Return the files of a host, by path."""
    return {
        PROGRAM: (HERE / "files" / "reserve_ports.py").read_text("utf-8"),
        UNIT_PATH: template(HERE / "templates" / "unit.service.j2", program=PROGRAM),
    }
