"""The command line: benchmarks/many [--hosts 4,10,1000] [--runs 3] [--add]

A run without a change on many simulated hosts, beside the floor: one connection and one exec per
host. They take turns, so that other work on this machine affects both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.report import RESULTS
from benchmarks.simulated import fleet_file, recording

RAW = RESULTS / "many.json"
PORT = 2299


@dataclass(frozen=True)
class Run:
    """One run of a program: seconds, CPU seconds of this machine's controller, memory in MB."""

    seconds: float
    cpu: float
    memory: float


def main(arguments: list[str]) -> int:
    """Measure each number of hosts, and write results/many.json and many.md."""
    parser = argparse.ArgumentParser(prog="benchmarks/many", description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", default="4,10,1000", metavar="N,...")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--add", action="store_true", help="keep the rows of other numbers")
    chosen = parser.parse_args(arguments)
    rows = json.loads(RAW.read_text("utf-8"))["rows"] if chosen.add and RAW.exists() else {}
    with tempfile.TemporaryDirectory(prefix="mf-") as scratch:
        directory = Path(scratch)
        for name in ("host", "id"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
            subprocess.run(key, check=True)
        recording.record(directory)
        for count in map(int, chosen.hosts.split(",")):
            rows[str(count)] = measure(directory, count, chosen.runs)
            _write(rows)
    return 0


def _write(rows: dict[str, Any]) -> None:
    """Write the raw figures and the table, and print the table."""
    result = {"date": date.today().isoformat(), **machine.description(), "rows": rows}
    RAW.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    text = "\n".join(document(result)) + "\n"
    RAW.with_suffix(".md").write_text(text, "utf-8")
    print(text, flush=True)


def measure(directory: Path, count: int, runs: int) -> dict[str, Any]:
    """Return the runs of the floor and of Mirrorfleet on ``count`` hosts, and Mirrorfleet's execs.

    Raises ``RuntimeError`` if Mirrorfleet finds a change to make.
    """
    file = fleet_file.write(directory, count, PORT)
    floor = (
        sys.executable,
        "-m",
        "benchmarks.simulated.floor",
        str(directory),
        str(count),
        str(PORT),
    )
    apply = (f"{machine.VENV}/mirrorfleet", "apply", str(file), "--yes", "--json")
    found: dict[str, list[Run]] = {"floor": [], "mirrorfleet": []}
    with served(directory) as report:
        for _ in range(runs):
            found["floor"].append(run(floor)[0])
            done, output = run(apply)
            if (totals := json.loads(output)["totals"]) != {"unchanged": count}:
                raise RuntimeError(f"mirrorfleet found changes to make: {totals}")
            found["mirrorfleet"].append(done)
    connections = report["connections"] / count / runs - 1
    execs = {name: number / count / runs for name, number in report["execs"].items()}
    return {
        **{name: [asdict(one) for one in each] for name, each in found.items()},
        "connections_per_host": connections,
        "execs_per_host": sum(execs.values()) - execs["true"],
    }


@contextmanager
def served(directory: Path) -> Iterator[dict[str, Any]]:
    """Serve the simulated hosts; the yielded dictionary has the server's counts after the block."""
    report: dict[str, Any] = {}
    command = [sys.executable, "-m", "benchmarks.simulated.server", str(directory), str(PORT)]
    with subprocess.Popen(
        command, cwd=machine.REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        if server.stdout.readline() != "ready\n":
            raise RuntimeError("the simulated hosts did not start")
        yield report
        output, _ = server.communicate()
        report.update(json.loads(output))


def run(command: tuple[str, ...]) -> tuple[Run, str]:
    """Run a program; return what it used, and its output. Raises ``RuntimeError`` on failure."""
    program = subprocess.Popen(
        command,
        cwd=machine.REPOSITORY,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    began = _now()
    assert program.stdout is not None
    output = program.stdout.read()
    _, status, used = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        raise RuntimeError(f"{command[0]} ended with {program.returncode}: {output[-2000:]}")
    cpu = used.ru_utime + used.ru_stime
    return Run(_now() - began, cpu, used.ru_maxrss / 1024), output


def _environment() -> Mapping[str, str]:
    # As for a user: Python keeps the bytecode of this tree.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | fleet_file.SECRETS


def _now() -> float:
    return os.times().elapsed


def document(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "# A run without a change on simulated hosts"
    yield ""
    yield (
        f"{result['date']}, one machine for controller and hosts: {result['cores']} cores, "
        f"{result['memory_gib']} GiB, load {result['load']:.0f}; pyinfra {result['pyinfra']}, "
        f"paramiko {result['paramiko']}. Seconds of the controller's CPU, and of the clock, with "
        "the ratio to the floor: medians of n runs in turn. Raw figures: many.json."
    )
    yield ""
    yield (
        "| hosts | n | CPU: floor | CPU: Mirrorfleet | CPU per host above the floor "
        "| clock: floor | clock: Mirrorfleet | peak memory | connections / execs per host |"
    )
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for hosts, row in sorted(result["rows"].items(), key=lambda item: int(item[0])):
        base, own = _medians(row["floor"]), _medians(row["mirrorfleet"])
        above = (own["cpu"] - base["cpu"]) / int(hosts) * 1000
        yield (
            f"| {hosts} | {len(row['floor'])} | {base['cpu']:.2f} "
            f"| {own['cpu']:.2f} ({own['cpu'] / base['cpu']:.1f}x) | {above:.1f} ms "
            f"| {base['seconds']:.1f} | {own['seconds']:.1f} "
            f"({own['seconds'] / base['seconds']:.1f}x) | {own['memory']:.0f} MB "
            f"| {row['connections_per_host']:g} / {row['execs_per_host']:g} |"
        )


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
