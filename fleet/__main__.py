"""The command line: python -m fleet check FILE"""

from __future__ import annotations

import argparse
import sys

import fleet


def main(arguments: list[str]) -> int:
    """Check a fleet file. 0: it is right; 1: it is not, and every mistake is printed."""
    parser = argparse.ArgumentParser(prog="python -m fleet")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="report every mistake of a fleet file")
    check.add_argument("file")
    chosen = parser.parse_args(arguments)
    try:
        planned = fleet.plan(fleet.load(chosen.file))
    except fleet.FleetError as error:
        print(error, file=sys.stderr)
        return 1
    for warning in planned.fleet.warnings:
        print(warning, file=sys.stderr)
    print(f"{chosen.file}: '{planned.fleet.name}', {len(planned.hosts)} hosts, no mistakes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
