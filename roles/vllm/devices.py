"""The device files of NVIDIA's driver, made at boot before the engines of a host: see nvidia.sh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.runtime import files, service_removal
from mirrorfleet.runtime.commands import Commands
from mirrorfleet.runtime.observe import Observation, Question, Unit
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


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host with such an engine, or that had one."""
    asked: list[Question] = [service_removal.question(NAME)]
    if _needed(plan):
        asked += [("tree", SCRIPT), ("tree", UNIT_PATH), ("unit", UNIT)]
    return asked


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """Yield what of it will be changed."""
    wanted = units(plan)
    for file in files.unlike(wanted, seen):
        how = "differs" if file.path in seen.files else "is missing"
        yield Change(f"{file.path} {how}", old=file.path, new=(file.content or b"").decode())
    if wanted and not _is_up(seen) and UNIT_PATH in seen.files:
        yield Change(f"{UNIT} is not active and enabled")


def install(plan: HostPlan, seen: Observation) -> Commands:
    """Put the unit on the host and start it, where it differs or does not run."""
    wanted = units(plan)
    if wanted and (files.unlike(wanted, seen) or not _is_up(seen)):
        yield from files.install(
            wanted, seen, then=shell(HERE / "files/start_devices.sh", unit=UNIT)
        )


def departed(plan: HostPlan, seen: Observation) -> list[str]:
    """Return the unit, where no engine needs it any more."""
    return service_removal.departed(NAME, [NAME] if _needed(plan) else [], seen)


def _needed(plan: HostPlan) -> bool:
    return any(engine.build == "cuda" for engine in plan.engines_of(VllmPlan))


def _is_up(seen: Observation) -> bool:
    state = seen.units.get(UNIT, Unit())
    return (state.active, state.enabled) == ("active", "enabled")
