"""Every process of the lab lives in one cgroup: that is how the lab knows its own, and ends them.

No process ids are written down anywhere. A file with a number in it can be stale after a crash or a
reboot; membership in our cgroup cannot. One child per host, and one for the driver itself, so that
what a killed driver leaves behind (mmdebstrap, ssh) is found as well.

    mirrorfleet_lab.slice/mirrorfleet-driver        the driver and what it runs
    mirrorfleet_lab.slice/mirrorfleet-gpu.service   one host

Where PID 1 is systemd these are units, made by systemd-run; elsewhere plain directories.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from . import paths
from .terminal import CannotRun, LabError

# The underscore keeps systemd from seeing a slice within a slice.
SLICE = "mirrorfleet_lab.slice"

# What a guest that wants to reboot ends with, under systemd-nspawn --keep-unit.
REBOOT = 133

# Where a machine has only version 1 hierarchies: ours to mount, and to unmount.
OWN_HIERARCHY = paths.RUN / "cgroup"

# In its cgroup first, then the command, over and over while it asks for that.
_ENTER = f'echo $$ >"$0/cgroup.procs" || exit; while "$@"; [ $? -eq {REBOOT} ]; do :; done'


def hierarchy() -> Path | None:
    """The mount point of the cgroup version 2 hierarchy: of the unified layout, of the hybrid one,
    or our own; None if there is none."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4])
    return None


def under_systemd() -> bool:
    """Whether PID 1 is a systemd that keeps its units in version 2 cgroups."""
    root = hierarchy()
    return Path("/run/systemd/system").is_dir() and root not in (None, OWN_HIERARCHY)


def slice_directory() -> Path:
    """The cgroup that holds all of the lab, whether or not it exists."""
    return (hierarchy() or OWN_HIERARCHY) / SLICE


def enter() -> None:
    """Move this process, and with it whatever it will run, into the lab's cgroup; end what an
    earlier driver, killed at its work, left running there. The caller holds the lab's lock."""
    for leftover in slice_directory().glob("mirrorfleet-driver*"):
        kill(leftover)
    if under_systemd():
        _become_scope()
        return
    if hierarchy() is None:
        OWN_HIERARCHY.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(OWN_HIERARCHY)], check=True)
    driver = slice_directory() / "mirrorfleet-driver"
    try:
        driver.mkdir(parents=True)
        (driver / "cgroup.procs").write_text("0")
    except OSError as error:
        raise CannotRun(
            f"cannot make a cgroup for the lab ({error}); in a container that takes --privileged"
        ) from error


def _become_scope() -> None:
    """Ask systemd, the only one to move processes on its machine, to move this one."""
    pid = str(os.getpid())
    manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1"]
    method = ["org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))"]
    scope = [f"mirrorfleet-driver-{pid}.scope", "fail"]
    properties = ["2", "PIDs", "au", "1", pid, "Slice", "s", SLICE]
    call = ["busctl", "--quiet", "call", *manager, *method, *scope, *properties, "0"]
    subprocess.run(call, check=True)
    deadline = time.monotonic() + 10
    while SLICE not in Path("/proc/self/cgroup").read_text():
        if time.monotonic() > deadline:
            raise LabError(
                "systemd did not give the lab its scope; see `journalctl -b -u init.scope`"
            )
        time.sleep(0.01)


def directory(name: str) -> Path:
    """The cgroup of one host."""
    return slice_directory() / f"mirrorfleet-{name}.service"


def start(name: str, command: list[str], output: Path) -> None:
    """Run a host's command in its cgroup, in the background, again whenever it asks for a reboot.
    What it prints goes to `output`."""
    if under_systemd():
        properties = ["Delegate=yes", "KillMode=mixed", f"StandardOutput=append:{output}"]
        properties += [f"SuccessExitStatus={REBOOT}", f"RestartForceExitStatus={REBOOT}"]
        properties += ["RestartSec=0", "TasksMax=16384"]
        unit = ["systemd-run", "--quiet", "--collect", f"--slice={SLICE}"]
        unit += [f"--unit={directory(name).name}", *(f"--property={p}" for p in properties)]
        subprocess.run([*unit, *command], check=True)
        return
    directory(name).mkdir(exist_ok=True)
    with output.open("ab") as console:
        subprocess.Popen(
            ["sh", "-c", _ENTER, str(directory(name)), *command],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )


def alive(group: Path) -> bool:
    """Whether any process lives in a cgroup or below it."""
    try:
        return "populated 1" in (group / "cgroup.events").read_text()
    except FileNotFoundError:
        return False


def members(group: Path) -> list[int]:
    """The process ids in a cgroup and below it."""
    found: list[int] = []
    for path, _, _ in os.walk(group):
        try:
            found += map(int, Path(path, "cgroup.procs").read_text().split())
        except OSError:
            continue  # the cgroup went away while we looked
    return found


def kill(group: Path) -> None:
    """End every process in a cgroup and below it, at once, and remove the cgroup."""
    deadline = time.monotonic() + 30
    while alive(group):
        _kill_members(group)
        if time.monotonic() > deadline:
            listed = " ".join(map(str, members(group)))
            raise LabError(f"processes {listed} do not die; look at them with `ps -fp`")
        time.sleep(0.02)
    _remove(group)


def leave_nothing() -> None:
    """End every process of the lab and remove its cgroups."""
    kill(slice_directory())
    _await_burial()
    if under_systemd():
        subprocess.run(["systemctl", "stop", SLICE], check=False, stderr=subprocess.DEVNULL)
    if hierarchy() == OWN_HIERARCHY:
        subprocess.run(["umount", str(OWN_HIERARCHY)], check=True)


def _await_burial() -> None:
    """Dead processes are seen until PID 1 has taken note, which in a container may take seconds.
    Until then the kernel remembers where they belonged."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(map(_was_ours, Path("/proc").glob("[0-9]*"))):
        time.sleep(0.05)


def _was_ours(process: Path) -> bool:
    try:
        return f"/{SLICE}/" in (process / "cgroup").read_text()
    except OSError:
        return False


def _kill_members(group: Path) -> None:
    switch = group / "cgroup.kill"
    if switch.exists():
        switch.write_text("1")
        return
    for pid in members(group):  # before Linux 5.14
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _remove(group: Path) -> None:
    for path, _, _ in os.walk(group, topdown=False):
        with suppress(FileNotFoundError):  # systemd was faster
            Path(path).rmdir()
