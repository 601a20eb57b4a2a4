"""The command line: benchmarks/gateway [--only NAME,...] [--connections 1,16,64] [--seconds 5]"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path

from benchmarks import machine
from benchmarks.gateways import measure, report
from benchmarks.gateways.contestants import CONTESTANTS, VARIANTS
from tests.litellm.environment import LOCK, environment
from tests.litellm.gateway import free_port, started
from tests.litellm.upstream import Upstream

ALL = CONTESTANTS | VARIANTS


def main(arguments: list[str]) -> int:
    """Measure, write the raw figures, and report."""
    chosen = _parser().parse_args(arguments)
    # On a signal, end the contestants as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mf-")))
        upstream = stack.enter_context(_upstream(scratch))
        running = []
        for name in chosen.only:
            directory = scratch / name.replace(" ", "-")
            directory.mkdir()
            running.append(stack.enter_context(ALL[name](name, upstream, directory)))
            measure.verify(running[-1])
            _log(f"{name} answers")
        cells = measure.measure(
            running, chosen.connections, chosen.streamed, chosen.rounds, chosen.seconds, _log
        )
    result = {
        "date": date.today().isoformat(),
        **machine.description(),
        "litellm": LOCK.stem,
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "cells": [asdict(cell) for cell in cells],
    }
    chosen.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return report.main(chosen.output)


@contextmanager
def _upstream(directory: Path) -> Iterator[Upstream]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [f"{environment()}/bin/python", "-m", "benchmarks.gateways.upstream", str(port)]
    with started(command, directory, {"PYTHONPATH": str(machine.REPOSITORY)}, url):
        yield Upstream(url)


def _log(text: str) -> None:
    print(f"benchmark: {text}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/gateway", description="Gateways for Claude Code, side by side."
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=list(CONTESTANTS),
        metavar="NAME,...",
        help=f"of: {', '.join(ALL)} (the last {len(VARIANTS)} are variants of mirrorfleet, "
        "and run only if named)",
    )
    parser.add_argument("--connections", type=_numbers, default=[1, 16, 64], metavar="N,...")
    parser.add_argument(
        "--streamed",
        type={"yes": [True], "no": [False], "both": [False, True]}.__getitem__,
        default=[False, True],
        metavar="yes|no|both",
    )
    parser.add_argument("--seconds", type=float, default=5, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=report.RESULTS / "gateway.json")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - ALL.keys():
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(ALL)}"
        )
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
