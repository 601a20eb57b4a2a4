"""Tests of deploys/drivers.py: problems, installing, loading, and reboots left to the operator."""

from __future__ import annotations

import logging
import platform
from dataclasses import replace
from pathlib import Path

import pytest
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs import drivers
from mirrorfleet.jobs.driver_facts import DriverPackage, DriverState
from mirrorfleet.planning import HostPlan
from tests.roles.answers import MACHINE, Answers, observation_of
from tests.roles.conftest import Planned
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import ROOT, edit
from tests.roles.machine import Machine

PACKAGE, VERSION = "nvidia-driver-580-server", "580.95.05-0ubuntu0.24.04.2"
UBUNTU: Answers = MACHINE | {("machine",): ("ubuntu", "24.04", "x86_64", "4", "8388608")}
OFFERED: Answers = {
    **UBUNTU,
    ("driver", PACKAGE, "offer", "nvidia-dkms-580-server"): (VERSION,),
    ("driver", PACKAGE, "offer", PACKAGE): (VERSION,),
}
INSTALLED: Answers = UBUNTU | {("driver", PACKAGE, "installed"): (VERSION,)}
NOUVEAU: Answers = {("driver", PACKAGE, "nouveau"): ("",)}
OLDER: Answers = {
    ("driver", PACKAGE, "nvidia"): ("550.163.01",),
    **{("gpus", "nvidia-smi", "gpu", str(at)): ("81559", "550.163.01", "9.0") for at in range(2)},
}
RUNS: Answers = {
    ("driver", PACKAGE, "nvidia"): ("580.95.05",),
    **{("gpus", "nvidia-smi", "gpu", str(at)): ("81559", "580.95.05", "9.0") for at in range(2)},
}


@pytest.fixture
def plan(plans: Planned, project: Path) -> HostPlan:
    """Return the plan of the host in prod.yml with two GPUs, with a driver."""
    edit(project, "prod", "gpus: {count: 2}", f"gpus: {{count: 2}}, driver: {PACKAGE}")
    return plans("prod").hosts["gpu-c"]


def run(plan: HostPlan, answers: Answers, caplog: pytest.LogCaptureFixture) -> tuple[Traffic, str]:
    """Run the job; return its traffic and its log."""
    caplog.set_level(logging.INFO)
    done = mirror({plan.name: plan}, {plan.name: answers}, deploy=ROOT / "deploys/drivers.py")
    return done[plan.name], caplog.text


def refused(plan: HostPlan, answers: Answers) -> str:
    with pytest.raises(DeployError) as error:
        mirror({plan.name: plan}, {plan.name: answers}, deploy=ROOT / "deploys/drivers.py")
    return str(error.value)


def test_a_host_that_runs_the_driver_or_has_none_in_the_fleet_file_stays_unchanged(
    plan: HostPlan, caplog: pytest.LogCaptureFixture
) -> None:
    unchanged = {
        "as installed": INSTALLED | RUNS,
        "from elsewhere": OFFERED | RUNS,
        "beside a card for nouveau": INSTALLED | RUNS | NOUVEAU,
    }
    for answers in unchanged.values():
        traffic, log = run(plan, answers, caplog)
        assert traffic.round_trips == (1, 0)
        assert "No changes on 1 host." in log
        assert "reboot" not in log
    traffic, _ = run(replace(plan, driver=None), OFFERED, caplog)
    assert traffic.round_trips == (1, 0)


def test_a_bare_host_gets_the_package_and_its_module_is_loaded(
    plan: HostPlan, caplog: pytest.LogCaptureFixture, machine: Machine
) -> None:
    traffic, log = run(plan, OFFERED, caplog)
    assert f"package {PACKAGE} {VERSION} will be installed" in log
    machine.add("uname", "echo 6.8.0-1-generic")
    machine.add("apt-get", 'echo "$*" >>"$ROOT/log"')
    machine.add("apt-cache", '[ "$2" != linux-headers-generic ] || echo "Package: $2"')
    machine.add(
        "dpkg-query",
        "echo installed linux-image-generic; echo installed linux-image-unsigned-6.8.0-1-generic; "
        "echo config-files linux-image-virtual",
    )
    machine.add("modprobe", 'echo "modprobe $*" >>"$ROOT/log"')
    machine.add("nvidia-smi", "echo 580.95.05; echo 580.95.05")
    [install] = traffic.execs
    done = machine.run(StringCommand(install.command))
    assert (done.returncode, done.stdout) == (0, "NVIDIA's driver 580.95.05 runs; GPUs: 2\n")
    *_, apt_get, modprobe = (machine.root / "log").read_text().splitlines()
    # Headers of the running kernel, and a package with the headers of later kernels.
    assert apt_get.endswith(
        f"install {PACKAGE} linux-headers-6.8.0-1-generic linux-headers-generic"
    )
    assert modprobe == "modprobe nvidia"

    machine.add("nvidia-smi", "echo No devices were found; exit 6")
    done = machine.run(StringCommand(install.command))
    assert done.returncode == 1
    assert "nvidia-smi reports no GPU: it fails: No devices were found" in done.stderr

    machine.add("apt-get", "case $* in *install*) exit 100 ;; esac")
    done = machine.run(StringCommand(install.command))
    assert done.returncode != 0
    assert f"apt-get purge {PACKAGE}" in done.stderr


def test_a_module_that_is_not_loaded_is_loaded(
    plan: HostPlan, caplog: pytest.LogCaptureFixture, machine: Machine
) -> None:
    traffic, log = run(plan, INSTALLED, caplog)
    assert "the module nvidia will be loaded" in log
    [load] = traffic.execs
    assert "apt-get" not in load.command
    machine.add("modprobe", "exit 1")
    done = machine.run(StringCommand(load.command))
    assert done.returncode == 1
    assert f"install linux-headers-{platform.release()} and run again" in done.stderr


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (NOUVEAU, "the kernel has nouveau"),
        (OLDER, "the kernel has NVIDIA's driver 550.163.01"),
        (
            {("driver", PACKAGE, "nvidia"): ("550.163.01",)},
            "the kernel has NVIDIA's driver 550.163.01",
        ),
    ],
    ids=["nouveau", "an older one", "an older one, with the new nvidia-smi"],
)
def test_another_driver_in_the_kernel_needs_a_reboot_by_the_operator(
    plan: HostPlan,
    caplog: pytest.LogCaptureFixture,
    machine: Machine,
    other: Answers,
    reason: str,
) -> None:
    traffic, log = run(plan, OFFERED | other, caplog)
    assert f"reboot the host to load {PACKAGE} 580.95.05: {reason}" in log
    # Engines may use a loaded NVIDIA driver, so the run advises when to replace it.
    assert ("Run this when a reboot" in log) == (other is not NOUVEAU)
    machine.add("apt-get", "exit 0")
    machine.add("modprobe", "exit 1")
    [install] = traffic.execs
    done = machine.run(StringCommand(install.command))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{PACKAGE} is installed. Reboot the host to load it: {reason}." in done.stdout

    caplog.clear()
    traffic, log = run(plan, INSTALLED | other, caplog)
    assert f"reboot the host to load {PACKAGE} 580.95.05: {reason}" in log
    assert traffic.round_trips == (1, 0)


def test_packages_that_apt_would_remove_are_listed(
    plan: HostPlan, caplog: pytest.LogCaptureFixture
) -> None:
    removed: Answers = {("driver", PACKAGE, "offer", "nvidia-driver-550-server"): ("",)}
    _, log = run(plan, OFFERED | OLDER | removed, caplog)
    assert "package nvidia-driver-550-server will be removed: it conflicts" in log


def test_an_unknown_package_is_refused(plan: HostPlan) -> None:
    unknown: Answers = {("driver", PACKAGE, "refused"): (f"Unable to locate package {PACKAGE}",)}
    message = refused(plan, UBUNTU | unknown)
    assert (
        f"gpu-c: {PACKAGE} cannot be installed: Unable to locate package {PACKAGE}. Ubuntu has"
        in message
    )
    message = refused(plan, MACHINE | unknown)
    assert "Debian has NVIDIA's drivers in non-free" in message
    elsewhere: Answers = {("machine",): ("fedora", "43", "x86_64", "4", "8388608")}
    assert f"{PACKAGE} cannot be installed: apt-get is missing." in refused(plan, elsewhere)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (
            {("driver", PACKAGE, "headless"): ("6.8.0-1-generic",)},
            "the headers of the running kernel, 6.8.0-1-generic, are missing",
        ),
        ({("driver", PACKAGE, "unsigned"): ("",)}, "Secure Boot is on"),
        ({("path", drivers.UNINSTALL): ()}, f"Remove that driver: {drivers.UNINSTALL}."),
        (
            {("driver", PACKAGE, "offer", PACKAGE): ("1:535.247.01-1~deb12u1",)},
            f"{PACKAGE} brings driver 535.247.01, and vLLM 0.32.0 brings CUDA 13, which "
            "needs 580 or newer.",
        ),
    ],
    ids=["headers", "secure boot", "another installer", "too old"],
)
def test_a_driver_that_cannot_work_is_refused(plan: HostPlan, found: Answers, reason: str) -> None:
    assert reason in refused(plan, OFFERED | found)
    # These are no problems on a host that needs no installation.
    offer = {words for words in found if "offer" in words}
    assert offer or not list(
        drivers.Drivers().problems(plan, observation_of(INSTALLED | RUNS | found))
    )


def test_a_package_with_a_signed_module_needs_no_headers_and_no_key(
    plan: HostPlan,
) -> None:
    found: Answers = {
        ("driver", PACKAGE, "headless"): ("6.8.0-1-generic",),
        ("driver", PACKAGE, "unsigned"): ("",),
    }
    signed: Answers = UBUNTU | {("driver", PACKAGE, "offer", PACKAGE): (VERSION,)}
    assert list(drivers.Drivers().problems(plan, observation_of(signed | found))) == []


# The output of apt-cache policy. The headers, named last, have no candidate.
DEBIAN = """\
shift
while [ $# -gt 1 ]; do
    echo "$1:"
    echo '  Installed: (none)'
    echo '  Candidate: 580.1-1'
    echo '  Version table:'
    echo '     580.1-1 500'
    echo '        500 http://mirror.example.com/debian trixie/non-free amd64 Packages'
    shift
done
printf '%s:\\n  Installed: (none)\\n  Candidate: (none)\\n  Version table:\\n' "$1"
"""


def test_the_driver_of_debian_is_installed_with_the_packages_that_an_engine_needs(
    plan: HostPlan, caplog: pytest.LogCaptureFixture, machine: Machine
) -> None:
    packages = ["nvidia-driver", "nvidia-smi", "libcuda1", "nvidia-persistenced"]
    machine.add("apt-cache", DEBIAN)
    machine.add("apt-get", 'shift 5; for name do echo "Inst $name (580.1-1 Debian [amd64])"; done')
    machine.add("uname", '[ "$1" = -r ] && echo 0.0-none || echo Linux x86_64')
    driver = DriverPackage("nvidia-driver")
    state = machine.observe(driver)[driver]
    assert list(state.offers) == packages
    assert state.headless == "0.0-none"

    offered: Answers = {
        ("driver", "nvidia-driver", "offer", name): ("580.1-1",) for name in packages
    }
    debian = replace(plan, driver="nvidia-driver")
    traffic, _ = run(debian, MACHINE | offered, caplog)
    assert f"\nset -- {' '.join(packages)}\n" in traffic.execs[0].command
    # The driver was installed without them, so there is no nvidia-smi to report a GPU.
    offered.pop(("driver", "nvidia-driver", "offer", "nvidia-driver"))
    found: Answers = MACHINE | offered | {("driver", "nvidia-driver", "installed"): ("580.1-1",)}
    traffic, _ = run(debian, found | {("driver", "nvidia-driver", "nvidia"): ("580.1",)}, caplog)
    assert f"\nset -- {' '.join(packages[1:])}\n" in traffic.execs[0].command
    assert "modprobe nvidia" in traffic.execs[0].command


APT = f"""\
case $* in *' -s '*{PACKAGE}) ;; *) exit 100 ;; esac
echo 'NOTE: This is only a simulation!'
echo 'Remv nvidia-driver-550-server [550.163.01-0ubuntu1]'
echo 'Inst dkms (3.0.11-1ubuntu13 Ubuntu:24.04/noble [all])'
echo 'Inst {PACKAGE} [580.65.06-0ubuntu0.24.04.1] ({VERSION} Ubuntu:24.04/noble-updates [amd64])'
echo 'Conf {PACKAGE} ({VERSION} Ubuntu:24.04/noble-updates [amd64])'
"""


def test_the_driver_facts_are_read_from_apt_and_the_kernel(machine: Machine) -> None:
    machine.add("apt-get", APT)
    machine.add("apt-cache", "exit 0")
    machine.add("uname", '[ "$1" = -r ] && echo 0.0-none || echo Linux x86_64')
    machine.add("dpkg-query", f"echo installed {VERSION}")
    machine.add("od", "echo '   1'")
    machine.add("mokutil", 'echo "$2 is not enrolled"')
    driver = DriverPackage(PACKAGE)
    offers = {"nvidia-driver-550-server": "", "dkms": "3.0.11-1ubuntu13", PACKAGE: VERSION}
    assert machine.observe(driver)[driver] == DriverState(
        offers=offers, installed=VERSION, headless="0.0-none", unsigned=True
    )
    machine.add("apt-cache", "echo linux-headers-0.0-none:; echo '  Candidate: 0.0'")
    machine.add("mokutil", 'echo "$2 is already enrolled"; exit 1')
    assert machine.observe(driver)[driver] == DriverState(offers=offers, installed=VERSION)
