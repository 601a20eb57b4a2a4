"""NVIDIA's driver from a host's package sources: for deploys/drivers.py.

A driver is a kernel module. An administrator decides when to change it and when to reboot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.jobs.driver_facts import DriverPackage, DriverState
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.registry import roles
from mirrorfleet.runtime import packages
from mirrorfleet.runtime.commands import Commands, visible_script
from mirrorfleet.runtime.facts import Exists, Fact, Gpus
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error, warning
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.shell import call, positional, shell

SCRIPTS = Path(__file__).parent / "scripts"

COMPANIONS = ("nvidia-smi", "libcuda1", "nvidia-persistenced")
"""Packages that engines need and that Debian's driver package does not include: see driver.sh."""

UNINSTALL = "/usr/bin/nvidia-uninstall"
"""A program of NVIDIA's own installer. A package must not be installed over its driver."""

SOURCES = {
    "debian": "Debian has NVIDIA's drivers in non-free: add contrib, non-free and "
    "non-free-firmware to its sources, or NVIDIA's own repository",
    "ubuntu": "Ubuntu has NVIDIA's drivers in restricted, each release by a name of its own: "
    "correct the name, or add NVIDIA's own repository",
}


class Drivers(Role):
    """NVIDIA's driver on the hosts that name its package."""

    title = "Driver"

    def facts(self, plan: HostPlan) -> list[Fact[Any]]:
        if not plan.driver:
            return []
        return [Gpus(), Exists(UNINSTALL), DriverPackage(plan.driver)]

    def problems(self, plan: HostPlan, observed: Observation) -> Iterator[Problem]:
        if not plan.driver or not (_due(plan, observed) or _stuck(plan, observed)):
            return
        if _stuck(plan, observed):
            reason = _state(plan, observed).refused or "apt-get is missing"
            fix = SOURCES.get(observed.machine.system, "Add the repository that has it")
            yield error(
                f"{plan.driver} cannot be installed: {reason.rstrip('.')}.",
                f"{fix}, run apt-get update, then run again.",
            )
            return
        release = _release(plan, observed)
        for role in roles():
            yield from role.driver_problems(plan, release)
        if observed[Exists(UNINSTALL)]:
            yield error(
                "NVIDIA's own installer has installed a driver, which conflicts with "
                f"{plan.driver}.",
                f"Remove that driver: {UNINSTALL}.",
            )
        if _is_built(plan, observed):
            if kernel := _state(plan, observed).headless:
                yield error(
                    f"the headers of the running kernel, {kernel}, are missing, and apt does not "
                    f"have them: DKMS cannot build {plan.driver}.",
                    "Reboot into a kernel whose headers apt has.",
                )
            if _state(plan, observed).unsigned:
                yield error(
                    f"Secure Boot is on, and DKMS signs {plan.driver} with a key that the firmware "
                    "does not know.",
                    "Enrol that key (`mirrorfleet docs nvidia-drivers`, Secure Boot), or turn "
                    "Secure Boot off.",
                )
        if _running(plan, observed) and (reason := _conflict(plan, observed)):
            yield warning(
                f"between the installation of {plan.driver} {release} and the next reboot, no "
                f"process that needs a GPU can start: {reason}.",
                "Run this when a reboot is possible.",
            )

    def changes(self, plan: HostPlan, observed: Observation) -> Iterator[Change]:
        if not plan.driver:
            return
        if _due(plan, observed):
            offers = _state(plan, observed).offers
            for name in _names(plan, observed):
                yield Change(f"package {name} {offers[name]} will be installed")
            for name, version in offers.items():
                if not version:
                    yield Change(f"package {name} will be removed: it conflicts")
        if reason := _conflict(plan, observed):
            yield Change(
                f"reboot the host to load {plan.driver} {_release(plan, observed)}: {reason}"
            )
        elif not _due(plan, observed) and not observed[Gpus()].gpus:
            yield Change("the module nvidia will be loaded")

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("package of NVIDIA's driver", self.install),) if plan.driver else ()

    def install(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install the package if it is due, and load its module unless another one conflicts."""
        due, reason = _due(plan, observed), _conflict(plan, observed)
        reboot = f"{plan.driver} is installed. Reboot the host to load it: {reason}."
        load = shell(SCRIPTS / "load_driver.sh")
        if due:
            builds = "yes" if _is_built(plan, observed) else "no"
            package = shell(SCRIPTS / "install_driver.sh", driver=plan.driver or "", builds=builds)
            names = positional(*_names(plan, observed))
            yield visible_script(
                packages.INSTALL + names + package + (call("echo", reboot) if reason else load)
            )
        elif not reason and not observed[Gpus()].gpus:
            yield visible_script(load)


def _release(plan: HostPlan, observed: Observation) -> str:
    """Return the release of the driver in the package, available or installed."""
    state = _state(plan, observed)
    version = state.offers.get(plan.driver or "") or state.installed
    return re.sub(r"^\d+:|-.*", "", version)


def _running(plan: HostPlan, observed: Observation) -> str:
    """Return the release of the running driver, or ""."""
    gpus = observed[Gpus()].gpus
    return gpus[0].driver if gpus else _state(plan, observed).modules.get("nvidia", "")


def _due(plan: HostPlan, observed: Observation) -> bool:
    """Return whether a package must be installed. A running driver of its release suffices."""
    is_running = bool(observed[Gpus()].gpus) and _running(plan, observed) == _release(
        plan, observed
    )
    return bool(_names(plan, observed)) and not is_running


def _names(plan: HostPlan, observed: Observation) -> list[str]:
    """Return the packages to install: the driver and its companions."""
    offers = _state(plan, observed).offers
    return [name for name in (plan.driver, *COMPANIONS) if name and offers.get(name)]


def _stuck(plan: HostPlan, observed: Observation) -> bool:
    """Return whether the package is neither installed nor available."""
    return not _release(plan, observed)


def _conflict(plan: HostPlan, observed: Observation) -> str:
    """Return the other driver in the kernel, which only a reboot unloads reliably, or ""."""
    if running := _running(plan, observed):
        other = running != _release(plan, observed)
        return f"the kernel has NVIDIA's driver {running}" if other else ""
    return "the kernel has nouveau" if "nouveau" in _state(plan, observed).modules else ""


def _is_built(plan: HostPlan, observed: Observation) -> bool:
    """Return whether DKMS builds the driver on the host."""
    return any("dkms" in name for name in _state(plan, observed).offers)


def _state(plan: HostPlan, observed: Observation) -> DriverState:
    """Return the state of the package of the host's driver."""
    return observed[DriverPackage(plan.driver or "")]
