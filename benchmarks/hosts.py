"""The lab's plain hosts for a benchmark, and commands on them outside of the timed runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks.machine import REPOSITORY
from tests.lab import keys
from tests.lab.hosts import EXTRAS, Host

LAB = str(REPOSITORY / "bin" / "lab")


@contextmanager
def booted(count: int, *, keep: bool) -> Iterator[tuple[Host, ...]]:
    """Boot a number of plain hosts; remove the lab at the end, unless ``keep``.

    Exit with 1 if another lab is running: it would disturb the measurement.
    """
    purpose = ["--for", "benchmark"]
    try:
        if subprocess.run([LAB, "up", str(count), *purpose]).returncode:
            raise SystemExit(1)
        yield EXTRAS[:count]
    finally:
        if not keep:
            subprocess.run([LAB, "down", *purpose], check=True)


def run(hosts: Sequence[Host], script: str, stdin: bytes = b"") -> list[bytes]:
    """Run a shell script as root on every host, several at a time; return their output."""

    def one(host: Host) -> bytes:
        command = keys.ssh(
            host.name, ["sudo", "sh", "-euc", _quoted(script)], "-o", "LogLevel=ERROR"
        )
        done = subprocess.run(command, input=stdin, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{host.name}: {done.stderr.decode().strip()}")
        return done.stdout

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, hosts))


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"
