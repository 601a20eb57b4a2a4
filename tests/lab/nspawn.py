"""The backend: boot a host, kill it, show its state.

Another backend (podman can run the same root filesystem) would be a module with these functions.
"""

import os
import time
from pathlib import Path

from . import cgroups, paths
from .hosts import BRIDGE, Host

_BOOT = Path(__file__).with_name("boot.sh")


def console(host: Host) -> Path:
    """Return the file with the host's console output."""
    return paths.RUN / f"{host.name}.console"


def boot(host: Host, directory: Path) -> None:
    """Boot a host from its directory, in the background. It can reboot and power off."""
    script = ["sh", str(_BOOT), str(directory), host.name, BRIDGE]
    cgroups.start(host.name, ["unshare", "--mount", *script], console(host))


def running(host: Host) -> bool:
    """Return whether the host has a process."""
    return cgroups.alive(cgroups.directory(host.name))


def kill(host: Host) -> None:
    """Kill the host, as a power failure would."""
    cgroups.kill(cgroups.directory(host.name))


def since(host: Host) -> float | None:
    """Return when the host's PID 1 started, in seconds since the epoch; ``None`` without one."""
    for pid in cgroups.members(cgroups.directory(host.name)):
        try:
            if _pid_inside(pid) == "1":
                return _started(pid)
        except OSError:
            continue  # the process ended meanwhile
    return None


def _pid_inside(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
    return numbers[-1] if len(numbers) > 1 else ""


def _started(pid: int) -> float:
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age
