"""The device files of NVIDIA's driver, created at boot before the engines start: see nvidia.sh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime import files, service_removal
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.facts import Fact, File, Services, Unit
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.text import template

NAME = "nvidia"
UNIT = f"mirrorfleet-{NAME}.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
SCRIPT = f"{ROOT}/{NAME}/devices.sh"
HERE = Path(__file__).parent


def units(plan: HostPlan) -> list[files.SystemFile]:
    """Return the unit and its script, on a host with an engine for NVIDIA's GPUs."""
    if not _needed(plan):
        return []
    script = (HERE / "files/nvidia.sh").read_bytes()
    unit = template(HERE / "templates/nvidia.service.j2", script=SCRIPT)
    return [
        files.SystemFile(SCRIPT, script, "755"),
        files.SystemFile(UNIT_PATH, unit.encode()),
    ]


def facts(plan: HostPlan) -> list[Fact[Any]]:
    """Return the facts of a host that has such an engine, or had one."""
    needed: list[Fact[Any]] = [Services(NAME)]
    if _needed(plan):
        needed += [File(SCRIPT), File(UNIT_PATH), Unit(UNIT)]
    return needed


def changes(plan: HostPlan, observed: Observation) -> Iterator[Change]:
    """Yield the files and the unit that will change."""
    desired = units(plan)
    for file in files.outdated_system_files(desired, observed):
        how = "differs" if observed[File(file.path)] is not None else "is missing"
        yield Change(f"{file.path} {how}", old=file.path, new=(file.content or b"").decode())
    if desired and not _is_up(observed) and observed[File(UNIT_PATH)] is not None:
        yield Change(f"{UNIT} is not active and enabled")


def install(plan: HostPlan, observed: Observation) -> Commands:
    """Install the unit and start it, if it differs or is not running."""
    desired = units(plan)
    if desired and (files.outdated_system_files(desired, observed) or not _is_up(observed)):
        yield from files.install(
            desired, observed, then=shell(HERE / "files/start_devices.sh", unit=UNIT)
        )


def removed(plan: HostPlan, observed: Observation) -> list[str]:
    """Return the name of the unit if no engine on the host needs it any longer."""
    return service_removal.removed(NAME, [NAME] if _needed(plan) else [], observed)


def _needed(plan: HostPlan) -> bool:
    return any(engine.build == "cuda" for engine in plan.engines_of(VllmPlan))


def _is_up(observed: Observation) -> bool:
    state = observed[Unit(UNIT)]
    return (state.active, state.enabled) == ("active", "enabled")
