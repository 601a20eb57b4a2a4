"""The reserved ports of a host: only the users of services can listen on the services' ports.

Without this, a local user could listen on a service's port while the service drains or restarts,
and would receive its clients' keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime import packages
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.deferred_removal import after_dependents
from mirrorfleet.runtime.facts import Content, Fact, File, Unit
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.reserved import PROGRAM, RELEASE, UNIT, UNIT_PATH
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.rollout import has_services, is_host_skipped
from mirrorfleet.runtime.shell import call, shell
from mirrorfleet.runtime.text import template

HERE = Path(__file__).parent

STATE = "/run/mirrorfleet/ports"
"""The report of reserve_ports.py about its last run."""


class Ports(Role):
    """The reserved ports of a host: reserved before services change, released after the last."""

    title = "Ports"
    removable_services = ("ports",)

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        needed: list[Fact[Any]] = [File(PROGRAM)]
        if has_services(plan):
            needed += [File(UNIT_PATH), Unit(UNIT), Content(STATE)]
        return needed

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if is_host_skipped(plan):
            return
        if not has_services(plan):
            if observed[File(PROGRAM)] is not None:
                yield Change(f"{UNIT} will be removed")
            return
        for path, text in installed().items():
            if observed[File(path)] != f"644 root:root {sha256(text.encode()).hexdigest()}":
                how = "differs" if observed[File(path)] is not None else "is missing"
                yield Change(f"{path} {how}", old=path, new=text)
        state = observed[Unit(UNIT)]
        is_up = (state.active, state.enabled) == ("active", "enabled")
        if observed[File(UNIT_PATH)] is not None and not is_up:
            yield Change(f"{UNIT} is {state.active}, {state.enabled}")

    def notices(self, plan: HostPlan, observed: Observation) -> Iterator[str]:
        if not has_services(plan):
            return
        report = (observed[Content(STATE)] or b"").decode(errors="replace").strip()
        if report.startswith("not reserved"):
            yield (
                f"ports are {report}. While a service restarts, a local user of this host can "
                "listen on its port and receive its clients' keys: allow no local users, or use "
                "Linux 5.14 or newer with cgroup v2."
            )

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("reserved ports", self.install),)

    def install(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install the program and its unit, and run it: now, and at every boot."""
        if has_services(plan) and any(self.changes(plan, observed)):
            members = [Member(Path(path).name, text.encode()) for path, text in installed().items()]
            text = shell(HERE / "files" / "install.sh", unit=UNIT)
            yield script(UNPACK + packages.INSTALL + text, pack(members))

    def remove(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("ports, no longer reserved", self.release),)

    def release(self, plan: HostPlan, observed: Observation) -> Commands:
        """Release the ports of a host without services, and remove the program and its unit."""
        if not has_services(plan) and observed[File(PROGRAM)] is not None:
            text = shell(HERE / "files" / "remove.sh", unit=UNIT, report=STATE)
            yield from after_dependents([script(RELEASE + call("release_ports") + text)])


def installed() -> dict[str, str]:
    """Return the files of a host, by path."""
    return {
        PROGRAM: (HERE / "files" / "reserve_ports.py").read_text("utf-8"),
        UNIT_PATH: template(HERE / "templates" / "unit.service.j2", program=PROGRAM),
    }
