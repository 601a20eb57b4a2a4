"""Show who has which key at the gateways."""

from __future__ import annotations

import argparse
from importlib import import_module

from fleet.commands import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("keys", help="show who has which key at the gateways")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--print", metavar="NAME", dest="name", help="the key itself, and only it")
    parser.add_argument("--pipe", action="store_true", help="also where no terminal is")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    # Secrets are the roles' affair, and fleet/ imports nothing of roles/: as with `show`.
    keys = import_module("roles.keys")
    done: int = keys.main(chosen.file, chosen.name, chosen.pipe)
    return done
