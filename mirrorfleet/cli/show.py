"""Show the files that each host will get."""

from __future__ import annotations

import argparse

from mirrorfleet.cli import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("show", help="show the files that each host will get")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--host", metavar="NAME", help="of this host only")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    # Loaded when it is asked for: the roles import pyinfra, which takes a third of a second.
    from mirrorfleet.jobs import show

    return show.main([chosen.file, *([chosen.host] if chosen.host else [])])
