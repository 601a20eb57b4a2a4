"""Traces of a lab on this machine, found independently of the code that removes them.

    python -m tests.lab.traces

Prints one line per trace, and the kernel settings that a lab changes. The output before a lab and
after it must be the same.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

DIRECTORIES = ("/run/mirrorfleet-lab", "/var/lib/mirrorfleet-lab")
SETTINGS = ("net/ipv4/ip_forward", "fs/inotify/max_user_instances")
LAB = re.compile(r"mirrorfleet[-_]?(lab|0)|mirrorfleet-(driver|gpu|gw|dev|extra)|\bvb-lab-")


def main() -> int:
    """Print every trace; return 0."""
    for kind, lines in (
        ("process", processes()),
        ("mount", mounts()),
        ("cgroup", cgroups()),
        ("network", network()),
        ("directory", (path for path in DIRECTORIES if Path(path).exists())),
        ("setting", (f"{name} = {_read(Path('/proc/sys', name)).strip()}" for name in SETTINGS)),
    ):
        for line in sorted(set(lines)):
            print(f"{kind}: {line}")
    return 0


def processes() -> Iterator[str]:
    """Yield processes in a cgroup of the lab, or with one of its files in their arguments."""
    for process in Path("/proc").glob("[0-9]*"):
        command = _read(process / "cmdline").replace("\0", " ")
        if LAB.search(_read(process / "cgroup")) or LAB.search(command):
            yield f"{process.name} {command or _read(process / 'comm').strip()}"


def mounts() -> Iterator[str]:
    """Yield mount points of the lab in any process's namespace."""
    for process in Path("/proc").glob("[0-9]*"):
        for line in _read(process / "mountinfo").splitlines():
            if LAB.search(line):
                yield line.split()[4]


def cgroups() -> Iterator[str]:
    """Yield cgroups of the lab."""
    for path, _, _ in os.walk("/sys/fs/cgroup"):
        if LAB.search(path):
            yield path


def network() -> Iterator[str]:
    """Yield network interfaces, packet filter tables and rules of the lab."""
    privileged = [] if os.geteuid() == 0 else ["sudo", "-n"]
    for command in (
        ["ip", "-oneline", "link"],
        [*privileged, "nft", "list", "tables"],
        [*privileged, "iptables-save"],
    ):
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except FileNotFoundError:  # without iptables, there are no such rules
            continue
        yield from filter(LAB.search, done.stdout.splitlines())


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the process ended, or its file is not readable
        return ""


if __name__ == "__main__":
    sys.exit(main())
