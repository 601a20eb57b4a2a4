"""NVIDIA's driver from the packages that a host knows: for deploys/drivers.py.

A driver is a module of the kernel. A person says when one is changed, and a person reboots.
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
from mirrorfleet.runtime.commands import Commands, telling
from mirrorfleet.runtime.facts import Exists, Fact, Gpus
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import error, warning
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.role import Role, Step
from mirrorfleet.runtime.shell import call, positional, shell

SCRIPTS = Path(__file__).parent / "scripts"

WITH_IT = ("nvidia-smi", "libcuda1", "nvidia-persistenced")
"""What Debian's own driver does not bring, and an engine needs: see driver.sh."""

UNINSTALL = "/usr/bin/nvidia-uninstall"
"""What NVIDIA's own installer leaves on a host: no package may be put over a driver of its."""

WHERE = {
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
            said = _state(plan, observed).refused or "there is no apt-get"
            where = WHERE.get(observed.machine.system, "Add the repository that has it")
            yield error(
                f"{plan.driver} cannot be installed: {said.rstrip('.')}.",
                f"{where}, run apt-get update, and run again.",
            )
            return
        release = _wanted(plan, observed)
        for role in roles():
            yield from role.driver_problems(plan, release)
        if observed[Exists(UNINSTALL)]:
            yield error(
                "NVIDIA's own installer has installed a driver, which must not be mixed with "
                f"{plan.driver}.",
                f"Remove that driver: {UNINSTALL}.",
            )
        if _is_built(plan, observed):
            if kernel := _state(plan, observed).headless:
                yield error(
                    f"the headers of the running kernel, {kernel}, are missing, and apt knows "
                    f"none: DKMS could not build {plan.driver}.",
                    "Reboot into a kernel whose headers apt knows.",
                )
            if _state(plan, observed).unsigned:
                yield error(
                    f"Secure Boot is on, and DKMS signs {plan.driver} with a key that the firmware "
                    "does not know.",
                    "Enrol that key (`mirrorfleet docs nvidia-drivers`, Secure Boot), or turn "
                    "Secure Boot off.",
                )
        if _running(plan, observed) and (why := _in_the_way(plan, observed)):
            yield warning(
                f"from the installation of {plan.driver} {release} to the next reboot, nothing "
                f"that needs a GPU can start: {why}.",
                "Choose the time.",
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
                    yield Change(f"package {name} will be removed: it is in the way")
        if why := _in_the_way(plan, observed):
            yield Change(
                f"a reboot into {plan.driver} {_wanted(plan, observed)} is left to you: {why}"
            )
        elif not _due(plan, observed) and not observed[Gpus()].gpus:
            yield Change("the module nvidia will be loaded")

    def apply(self, plan: HostPlan, observed: Observation) -> Sequence[Step]:
        return (Step("package of NVIDIA's driver", self.install),) if plan.driver else ()

    def install(self, plan: HostPlan, observed: Observation) -> Commands:
        """Install the package where it is due, and load its module where nothing prevents it."""
        due, why = _due(plan, observed), _in_the_way(plan, observed)
        reboot = (
            f"{plan.driver} is installed, and runs after a reboot, which is left to you: {why}."
        )
        load = shell(SCRIPTS / "load_driver.sh")
        if due:
            builds = "yes" if _is_built(plan, observed) else "no"
            put = shell(SCRIPTS / "install_driver.sh", driver=plan.driver or "", builds=builds)
            names = positional(*_names(plan, observed))
            yield telling(packages.INSTALL + names + put + (call("echo", reboot) if why else load))
        elif not why and not observed[Gpus()].gpus:
            yield telling(load)


def _wanted(plan: HostPlan, observed: Observation) -> str:
    """Return the release of the driver that the package brings, or has brought."""
    state = _state(plan, observed)
    version = state.offers.get(plan.driver or "") or state.installed
    return re.sub(r"^\d+:|-.*", "", version)


def _running(plan: HostPlan, observed: Observation) -> str:
    gpus = observed[Gpus()].gpus
    return gpus[0].driver if gpus else _state(plan, observed).modules.get("nvidia", "")


def _due(plan: HostPlan, observed: Observation) -> bool:
    """Is a package to be installed? Not where its release serves already, wherever that is from."""
    serves = bool(observed[Gpus()].gpus) and _running(plan, observed) == _wanted(plan, observed)
    return bool(_names(plan, observed)) and not serves


def _names(plan: HostPlan, observed: Observation) -> list[str]:
    """Return what apt is asked for: the driver, and what goes with it."""
    offers = _state(plan, observed).offers
    return [name for name in (plan.driver, *WITH_IT) if name and offers.get(name)]


def _stuck(plan: HostPlan, observed: Observation) -> bool:
    """Does apt know no way to a package that is not there?"""
    return not _wanted(plan, observed)


def _in_the_way(plan: HostPlan, observed: Observation) -> str:
    """Say which other driver the kernel has: only a reboot takes it out for sure."""
    if running := _running(plan, observed):
        other = running != _wanted(plan, observed)
        return f"the kernel has NVIDIA's driver {running}" if other else ""
    return "the kernel has nouveau" if "nouveau" in _state(plan, observed).modules else ""


def _is_built(plan: HostPlan, observed: Observation) -> bool:
    return any("dkms" in name for name in _state(plan, observed).offers)


def _state(plan: HostPlan, observed: Observation) -> DriverState:
    """Return the state of the package of a host that is to have a driver."""
    return observed[DriverPackage(plan.driver or "")]
