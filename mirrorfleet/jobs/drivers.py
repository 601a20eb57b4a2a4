"""NVIDIA's driver from the packages that a host knows: for deploys/drivers.py.

A driver is a module of the kernel. A person says when one is changed, and a person reboots.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from pyinfra.api import deploy

from mirrorfleet import runtime
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import vllm
from mirrorfleet.roles.vllm import gpus
from mirrorfleet.runtime.commands import Commands, operation, telling
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.report import Change, Doubt

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


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a host that is to have a driver."""
    if not plan.driver:
        return []
    return [("gpus", "nvidia-smi"), ("path", UNINSTALL), ("driver", plan.driver)]


def refusals(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield why the driver cannot be installed, or would not run."""
    if not plan.driver or not (_due(plan, seen) or _stuck(plan, seen)):
        return
    if _stuck(plan, seen):
        said = seen.drivers.get("refused", "there is no apt-get")
        where = WHERE.get(seen.system, "Add the repository that has it")
        yield (
            f"cannot have {plan.driver}: {said.rstrip('.')}. {where}, let apt-get update read it, "
            "and run again."
        )
        return
    release = _wanted(plan, seen)
    yield from _too_old(plan, release)
    if UNINSTALL in seen.paths:
        yield (
            f"has a driver by NVIDIA's own installer, which {plan.driver} would be mixed with. "
            f"Remove that: {UNINSTALL}."
        )
    if _is_built(seen):
        if kernel := seen.drivers.get("headless"):
            yield (
                f"has no headers of its kernel, {kernel}, and apt knows none: DKMS could not build "
                f"{plan.driver}. Reboot into a kernel whose headers the sources have."
            )
        if "unsigned" in seen.drivers:
            yield (
                f"has Secure Boot on, and DKMS signs {plan.driver} with a key that the firmware "
                "does not know. Enrol that key (`mirrorfleet docs nvidia-drivers`, Secure Boot), "
                "or turn Secure Boot off."
            )
    if _running(seen) and (why := _in_the_way(plan, seen)):
        yield Doubt(
            f"will start nothing that needs a GPU between the installation of {plan.driver} "
            f"{release} and its next reboot: {why}. Choose the time."
        )


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """Yield what will be installed and removed, and what is left to a person."""
    if not plan.driver:
        return
    if _due(plan, seen):
        for name in _names(plan, seen):
            yield Change(f"package {name} {seen.offers[name]} will be installed")
        for name, version in seen.offers.items():
            if not version:
                yield Change(f"package {name} will be removed: it is in the way")
    if why := _in_the_way(plan, seen):
        yield Change(f"a reboot into {plan.driver} {_wanted(plan, seen)} is left to you: {why}")
    elif not _due(plan, seen) and not seen.gpus:
        yield Change("the module nvidia will be loaded")


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring nothing: the host fetches its packages itself."""


@deploy("Driver")
def install() -> None:
    """Install the driver of this host, if it is to have one, and say which one runs."""
    if runtime.plan().driver:
        put(name="package of NVIDIA's driver")


@operation
def put() -> Commands:
    """Install the package where it is due, and load its module where nothing is in the way."""
    plan, seen = runtime.plan(), runtime.seen()
    due, why = _due(plan, seen), _in_the_way(plan, seen)
    reboot = f"{plan.driver} is installed, and runs after a reboot, which is left to you: {why}."
    after = shlex.join(["echo", reboot]) if why else LOAD
    if due:
        names = " ".join(_names(plan, seen))
        headers = HEADERS if _is_built(seen) else "headers=\n"
        packages = runtime.INSTALL.format(names=f"{names} $headers")
        yield telling(f"{TRAP.format(driver=plan.driver)}{headers}{packages}trap - EXIT\n{after}")
    elif not why and not seen.gpus:
        yield telling(LOAD)


# A package that is half installed would be in the way of every other.
TRAP = """\
trap '[ $? = 0 ] || echo "{driver} is not installed. Where DKMS could not build it, \
/var/lib/dkms/nvidia*/*/build/make.log says why; apt-get purge {driver} and apt-get autoremove \
take it off again." >&2' EXIT
"""

# Of the kernel that runs, and of those that an upgrade brings: DKMS builds the driver for each.
HEADERS = """\
headers=
[ -e "/lib/modules/$(uname -r)/build" ] || headers=linux-headers-$(uname -r)
form='${db:Status-Status} ${Package}\\n'
for each in $(dpkg-query -W -f "$form" 'linux-image-[!0-9]*' 2>/dev/null |
    sed -n 's/^installed linux-image-/linux-headers-/p'); do
    [ -z "$(apt-cache show "$each" 2>/dev/null)" ] || headers="$headers $each"
done
"""

LOAD = """\
if ! modprobe nvidia; then
    echo "The module nvidia cannot be loaded. If 'dkms status' does not list it as installed for" \
        "$(uname -r), install linux-headers-$(uname -r) and run again; else dmesg says why." >&2
    exit 1
fi
said=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>&1) || said="it fails: $said"
case $said in
    [0-9]*) set -- $said; echo "NVIDIA's driver $1 runs; GPUs: $#" ;;
    *) echo "The module nvidia is loaded, and nvidia-smi tells of no GPU: $said" >&2; exit 1 ;;
esac
"""


def _wanted(plan: HostPlan, seen: Observation) -> str:
    """Return the release of the driver that the package brings, or has brought."""
    version = seen.offers.get(plan.driver or "") or seen.drivers.get("installed", "")
    return re.sub(r"^\d+:|-.*", "", version)


def _running(seen: Observation) -> str:
    return seen.gpus[0].driver if seen.gpus else seen.drivers.get("nvidia", "")


def _due(plan: HostPlan, seen: Observation) -> bool:
    """Is a package to be installed? Not where its release serves already, wherever that is from."""
    serves = bool(seen.gpus) and _running(seen) == _wanted(plan, seen)
    return bool(_names(plan, seen)) and not serves


def _names(plan: HostPlan, seen: Observation) -> list[str]:
    """Return what apt is asked for: the driver, and what goes with it."""
    return [name for name in (plan.driver, *WITH_IT) if name and seen.offers.get(name)]


def _stuck(plan: HostPlan, seen: Observation) -> bool:
    """Does apt know no way to a package that is not there?"""
    return not _wanted(plan, seen)


def _in_the_way(plan: HostPlan, seen: Observation) -> str:
    """Say which other driver the kernel has: only a reboot takes it out for sure."""
    if running := _running(seen):
        other = running != _wanted(plan, seen)
        return f"the kernel has NVIDIA's driver {running}" if other else ""
    return "the kernel has nouveau" if "nouveau" in seen.drivers else ""


def _is_built(seen: Observation) -> bool:
    return any("dkms" in name for name in seen.offers)


def _too_old(plan: HostPlan, release: str) -> Iterator[str]:
    """Yield what an engine would say of the driver that is on offer."""
    for engine in plan.engines:
        cuda, oldest = gpus.needed(vllm.environment(engine).lock)
        if engine.build == "cuda" and not engine.cuda_compat and gpus.older(release, oldest):
            yield (
                f"would get driver {release} with {plan.driver}, and vLLM {engine.version} brings "
                f"CUDA {cuda}, which needs {oldest} or newer. Add NVIDIA's own repository, or name "
                "another package."
            )
