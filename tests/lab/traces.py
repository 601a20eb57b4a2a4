"""What a lab can leave on a machine, found without the means by which the lab removes it.

    python -m tests.lab.traces

One line per trace, and the kernel settings that a lab changes. Before a lab and after it the
output is the same.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PLACES = ("/run/mirrorfleet-lab", "/var/lib/mirrorfleet-lab")
SETTINGS = ("net/ipv4/ip_forward", "fs/inotify/max_user_instances")
OURS = re.compile(r"mirrorfleet[-_]?(lab|0)|mirrorfleet-(driver|gpu|gw|dev|extra)|\bvb-lab-")


def main() -> int:
    """Print every trace. 0, whatever there is."""
    for kind, lines in (
        ("process", processes()),
        ("mount", mounts()),
        ("cgroup", cgroups()),
        ("network", network()),
        ("directory", (place for place in PLACES if Path(place).exists())),
        ("setting", (f"{name} = {_read(Path('/proc/sys', name)).strip()}" for name in SETTINGS)),
    ):
        for line in sorted(set(lines)):
            print(f"{kind}: {line}")
    return 0


def processes() -> Iterator[str]:
    """Processes in a cgroup of the lab, or that name one of its files."""
    for process in Path("/proc").glob("[0-9]*"):
        command = _read(process / "cmdline").replace("\0", " ")
        if OURS.search(_read(process / "cgroup")) or OURS.search(command):
            yield f"{process.name} {command or _read(process / 'comm').strip()}"


def mounts() -> Iterator[str]:
    """Mounts of the lab in any process's namespace."""
    for process in Path("/proc").glob("[0-9]*"):
        for line in _read(process / "mountinfo").splitlines():
            if OURS.search(line):
                yield line.split()[4]


def cgroups() -> Iterator[str]:
    for path, _, _ in os.walk("/sys/fs/cgroup"):
        if OURS.search(path):
            yield path


def network() -> Iterator[str]:
    """Network cards, packet filter tables and rules."""
    privileged = [] if os.geteuid() == 0 else ["sudo", "-n"]
    for command in (
        ["ip", "-oneline", "link"],
        [*privileged, "nft", "list", "tables"],
        [*privileged, "iptables-save"],
    ):
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
        except FileNotFoundError:  # a machine without iptables has no such rules either
            continue
        yield from filter(OURS.search, done.stdout.splitlines())


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it ended while we looked, or is not readable
        return ""


if __name__ == "__main__":
    sys.exit(main())
