"""Preparation of hosts before the timed runs: Python, and stand-ins for downloads."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from benchmarks import hosts
from tests.lab.hosts import Host

STANDINS = Path(__file__).parent / "standins"

# Only Ansible needs Python. It is installed on one host and copied to the others, with dpkg's
# records.
PYTHON = """\
exec 3>&1 >/dev/null
export DEBIAN_FRONTEND=noninteractive
touch /run/before
apt-get -qq update
apt-get -qq install -y --no-install-recommends python3
find /usr /etc /var/lib/dpkg ! -type d -cnewer /run/before -print0 |
    tar --null --files-from=- -cf - >&3
"""

# The lab's sshd logs a line for every connection and every exec.
COUNT = """\
journalctl -q -o cat -t sshd -t sshd-session --since "@$since" >/run/sessions
grep -c '^Accepted publickey' /run/sessions || :
grep -c '^Starting session' /run/sessions || :
"""


def prepare(machines: Sequence[Host], environment: str) -> None:
    """Prepare hosts. ``environment`` is the directory of LiteLLM's Python environment."""
    have = hosts.run(machines, "command -v python3 || :")
    if without := [host for host, python in zip(machines, have, strict=True) if not python]:
        [python] = hosts.run(without[:1], PYTHON)
        hosts.run(without[1:], "tar -xf - -C /", python)
    hosts.run(
        machines, "tar -xf - -C / --no-overwrite-dir", _environment(PurePosixPath(environment))
    )


def clock(machines: Sequence[Host]) -> str:
    """Return the hosts' time, which is the same on all: they share a kernel."""
    return hosts.run(machines[:1], "date +%s.%N")[0].decode().strip()


def sessions_since(machines: Sequence[Host], since: str) -> tuple[float, float]:
    """Return the average numbers of connections and execs per host since a time."""
    # The query itself is one connection and one exec.
    outputs = hosts.run(machines, f"since={since}\n{COUNT}")
    counts = [[int(number) - 1 for number in output.split()] for output in outputs]
    connections, execs = (sum(column) / len(machines) for column in zip(*counts, strict=True))
    return connections, execs


def _environment(directory: PurePosixPath) -> bytes:
    """Return an archive of a stand-in for an environment, marked as complete."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for parent in reversed([directory / "bin", *list((directory / "bin").parents)[:-2]]):
            entry = tarfile.TarInfo(str(parent).lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        contents = {f"bin/{path.name}": path.read_bytes() for path in STANDINS.iterdir()}
        for name, content in {**contents, ".complete": b""}.items():
            entry = tarfile.TarInfo(str(directory / name).lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
