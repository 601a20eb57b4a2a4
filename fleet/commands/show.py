"""Show the files that each host will get."""

from __future__ import annotations

import argparse
from importlib import import_module

from fleet.commands import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("show", help="show the files that each host will get")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--host", metavar="NAME", help="of this host only")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    # What a host's files look like is the roles' affair, and fleet/ imports nothing of roles/: the
    # module that knows is found by its name, when it is asked for.
    show = import_module("roles.show")
    shown: int = show.main([chosen.file, *([chosen.host] if chosen.host else [])])
    return shown
