"""Show the files that each host will get."""

from __future__ import annotations

import argparse
import runpy
import sys

from fleet.commands import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("show", help="show the files that each host will get")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--host", metavar="NAME", help="of this host only")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    # What a host's files look like is the roles' affair, and fleet/ imports nothing of roles/:
    # the program that knows is started by its name.
    sys.argv = ["show", chosen.file, *([chosen.host] if chosen.host else [])]
    done: int = runpy.run_module("roles.show")["main"](sys.argv[1:])
    return done
