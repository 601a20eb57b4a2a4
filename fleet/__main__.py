"""The command line: `python -m fleet COMMAND`, one of COMMANDS below."""

from __future__ import annotations

import argparse
import sys

from fleet import FleetError
from fleet.commands import (
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

COMMANDS = (check, plan, show, keys, package, topology, monitoring, fetch, schema, init)


def main(arguments: list[str]) -> int:
    """Run one command. 0: it is right; 1: it is not, and every mistake is printed; 2: misused."""
    parser = argparse.ArgumentParser(prog="python -m fleet")
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


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        sys.exit(1)
