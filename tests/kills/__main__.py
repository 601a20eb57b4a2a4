"""The command: kill each case many times, print a table, fail if a host did not heal."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.kills import booted, runner
from tests.kills.cases import cases, lab_gateway, services
from tests.kills.runner import Result
from tests.kills.world import Worlds, apart

SHOWN = 5
"""Failures of a case that are printed."""


def main(arguments: list[str]) -> int:
    chosen = _parser().parse_args(arguments)
    apart()
    with tempfile.TemporaryDirectory() as scratch, Worlds.mounted() as worlds:
        os.environ["XDG_CACHE_HOME"] = str(Path.home() / ".cache")
        results = []
        for name, kill in killed(Path(scratch) / "fleet", worlds):
            if all(word in name for word in chosen.words):
                results.append(kill(chosen.kills, random.Random(chosen.seed)))
                print(row(results[-1]), flush=True)
    failed = sum(len(result.failures) for result in results)
    print(f"{sum(result.kills for result in results)} kills, {failed} not healed")
    return 1 if failed else 0


def killed(
    directory: Path, worlds: Worlds
) -> Iterator[tuple[str, Callable[[int, random.Random], Result]]]:
    """Yield each name with a function that kills so many times."""
    for case in cases(directory):
        yield case.name, partial(runner.run, case, worlds)
    for name, ways in services.ways(lab_gateway(directory)):
        yield name, partial(booted.run, name, ways, worlds)


def row(result: Result) -> str:
    """Return the line of a case in the table, and its failures."""
    healed = result.kills - len(result.failures)
    line = (
        f"| {result.name} | {result.steps} | {result.kills} | {healed} | {result.seconds:.0f} s |"
    )
    return "\n".join([line, *result.failures[:SHOWN]])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills of each case")
    parser.add_argument("--seed", type=int, default=0, help="of the random steps")
    parser.add_argument("words", nargs="*", help="only cases with these words in their names")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
