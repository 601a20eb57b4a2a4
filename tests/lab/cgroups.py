"""The lab's cgroup: it holds every process of the lab, and the lab ends processes by it.

No process IDs are stored. A file with a process ID can be stale after a crash or a reboot;
membership in a cgroup cannot. There is one child cgroup per host, and one for the driver itself, so
that processes of a killed driver (mmdebstrap, ssh) are found as well.

    mirrorfleet_lab.slice/mirrorfleet-driver        the driver and its child processes
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

# With a hyphen, systemd would nest the slice in another slice.
SLICE = "mirrorfleet_lab.slice"

# The exit status of systemd-nspawn --keep-unit when the guest reboots.
REBOOT = 133

# On a machine with version 1 hierarchies only, the lab mounts and unmounts this one.
OWN_HIERARCHY = paths.RUN / "cgroup"

# Enter the cgroup, then run the command, again after each reboot.
_ENTER = f'echo $$ >"$0/cgroup.procs" || exit; while "$@"; [ $? -eq {REBOOT} ]; do :; done'


def hierarchy() -> Path | None:
    """Return the mount point of the cgroup version 2 hierarchy (unified, hybrid, or the lab's own),
    or ``None`` if there is none."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4])
    return None


def under_systemd() -> bool:
    """Return whether PID 1 is a systemd with its units in version 2 cgroups."""
    root = hierarchy()
    return Path("/run/systemd/system").is_dir() and root not in (None, OWN_HIERARCHY)


def slice_directory() -> Path:
    """Return the path of the lab's cgroup, which may not exist."""
    return (hierarchy() or OWN_HIERARCHY) / SLICE


def enter() -> None:
    """Move this process into the lab's cgroup, for its child processes as well. First end the
    processes that a killed driver left running. The caller holds the lab's lock."""
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
            f"cannot create a cgroup for the lab ({error}): start the container with --privileged"
        ) from error


def _become_scope() -> None:
    """Ask systemd to move this process: on its machine, no other program may do so."""
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
                "systemd did not create the lab's scope: see `journalctl -b -u init.scope`"
            )
        time.sleep(0.01)


def directory(name: str) -> Path:
    """Return the cgroup of a host."""
    return slice_directory() / f"mirrorfleet-{name}.service"


def start(name: str, command: list[str], output: Path) -> None:
    """Run a host's command in its cgroup, in the background, and again after each reboot.
    Append its output to the file `output`."""
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
    """Return whether a cgroup, or one below it, has processes."""
    try:
        return "populated 1" in (group / "cgroup.events").read_text()
    except FileNotFoundError:
        return False


def members(group: Path) -> list[int]:
    """Return the process IDs in a cgroup and below it."""
    found: list[int] = []
    for path, _, _ in os.walk(group):
        try:
            found += map(int, Path(path, "cgroup.procs").read_text().split())
        except OSError:
            continue  # the cgroup was removed meanwhile
    return found


def kill(group: Path) -> None:
    """Kill every process in a cgroup and below it, and remove the cgroup."""
    deadline = time.monotonic() + 30
    while alive(group):
        _kill_members(group)
        if time.monotonic() > deadline:
            listed = " ".join(map(str, members(group)))
            raise LabError(f"cannot kill the processes {listed}: see `ps -fp`")
        time.sleep(0.02)
    _remove(group)


def remove_all() -> None:
    """Kill every process of the lab and remove its cgroups."""
    kill(slice_directory())
    _wait_for_exit()
    if under_systemd():
        subprocess.run(["systemctl", "stop", SLICE], check=False, stderr=subprocess.DEVNULL)
    if hierarchy() == OWN_HIERARCHY:
        subprocess.run(["umount", str(OWN_HIERARCHY)], check=True)


def _wait_for_exit() -> None:
    """Wait until PID 1 has reaped the dead processes, which can take seconds in a container.
    Until then they are still members of their cgroup."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(map(_was_in_lab, Path("/proc").glob("[0-9]*"))):
        time.sleep(0.05)


def _was_in_lab(process: Path) -> bool:
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
