"""The command line: benchmarks/mirror [--hosts 1,10,30] [--delays 0,50] [--runs 5] [--keep]"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import contestants, delay, endstate, hosts, machine, measure, prepare, report

RAW = report.RESULTS / "mirror.json"


def main(arguments: list[str]) -> int:
    """Measure, write the raw figures, and report."""
    chosen = _parser().parse_args(arguments)
    # On a signal, remove hosts and routes as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    result = {"date": date.today().isoformat(), **machine.description(), **_kept(chosen.add)}
    with (
        hosts.booted(max(chosen.hosts), keep=chosen.keep) as machines,
        # A short name: it contains sockets of ssh.
        tempfile.TemporaryDirectory(prefix="mf-") as scratch,
    ):
        prepare.prepare(machines, endstate.environment())
        mitogen = contestants.install_mitogen(Path(scratch))
        for milliseconds in chosen.delays:
            for number in chosen.hosts:
                course = measure.Course(machines[:number], Path(scratch))
                participants = contestants.all_contestants(Path(scratch), number, mitogen)
                with delay.added(milliseconds) as method:
                    cells = measure.measure(
                        course,
                        participants,
                        milliseconds,
                        chosen.runs,
                        chosen.patience,
                        chosen.scenarios,
                        _log,
                    )
                result["delay_by"][str(milliseconds)] = method
                result["cells"] = _replaced(result["cells"], [asdict(cell) for cell in cells])
                report.RESULTS.mkdir(exist_ok=True)
                RAW.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
                hosts.run(machines[:number], endstate.RESET)
    return report.main(RAW)


def _kept(add: bool) -> dict[str, Any]:
    """Return the figures to add to; none without --add."""
    known = json.loads(RAW.read_text("utf-8")) if add and RAW.exists() else {}
    return {"delay_by": known.get("delay_by", {}), "cells": known.get("cells", [])}


def _replaced(known: list[dict[str, Any]], cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the known cells, with those of the same course replaced by new ones."""

    def course(cell: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(cell[key] for key in ("contestant", "scenario", "hosts", "delay"))

    measured = {course(cell) for cell in cells}
    return [*(cell for cell in known if course(cell) not in measured), *cells]


def _log(text: str) -> None:
    print(f"benchmark: {text}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/mirror", description="Compare Mirrorfleet's mirror.py with its peers."
    )
    parser.add_argument("--hosts", type=_numbers, default=[1, 10, 30], metavar="N,...")
    parser.add_argument("--delays", type=_numbers, default=[0, 50], metavar="MILLISECONDS,...")
    parser.add_argument("--runs", type=int, default=5, help="timed rounds, after one warm-up")
    parser.add_argument(
        "--patience",
        type=float,
        default=600,
        metavar="SECONDS",
        help="stop timing a contestant after this time in one scenario",
    )
    parser.add_argument(
        "--scenarios",
        type=lambda text: text.split(","),
        default=list(report.SCENARIOS),
        metavar="NAME,...",
        help=f"of: {', '.join(report.SCENARIOS)}",
    )
    parser.add_argument(
        "--add", action="store_true", help="add to the existing figures, or replace them"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the lab running for the next benchmark"
    )
    return parser


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
