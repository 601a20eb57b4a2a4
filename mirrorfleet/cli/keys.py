"""Show who has which key at the gateways."""

from __future__ import annotations

import argparse

from mirrorfleet.cli import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("keys", help="show who has which key at the gateways")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--print", metavar="NAME", dest="name", help="the key itself, and only it")
    parser.add_argument("--pipe", action="store_true", help="also where no terminal is")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    # Loaded when it is asked for: the roles import pyinfra, which takes a third of a second.
    from mirrorfleet.jobs import keys

    return keys.main(chosen.file, chosen.name, chosen.pipe)
