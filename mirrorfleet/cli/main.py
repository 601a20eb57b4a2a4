"""The command line: `mirrorfleet COMMAND`, one of COMMANDS below."""

from __future__ import annotations

import argparse
import sys

from mirrorfleet import __version__
from mirrorfleet.cli import (
    check,
    fetch,
    init,
    keys,
    monitoring,
    package,
    plan,
    schema,
    show,
    topology,
)
from mirrorfleet.config.problems import FleetError

COMMANDS = (check, plan, show, keys, package, topology, monitoring, fetch, schema, init)


def main(arguments: list[str]) -> int:
    """Run one command. 0: it is right; 1: it is not, and every mistake is printed; 2: misused."""
    parser = argparse.ArgumentParser(prog="mirrorfleet")
    parser.add_argument("--version", action="version", version=f"mirrorfleet {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.declare(commands)
    chosen = parser.parse_args(arguments)
    try:
        done: int = chosen.run(chosen)
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    return done


def run() -> None:
    """Run the command of this process, and end it with its exit code."""
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        sys.exit(1)
