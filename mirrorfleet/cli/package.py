"""Write what machines that no SSH reaches install: files for device management, and installers."""

from __future__ import annotations

import argparse
from pathlib import Path

from mirrorfleet.cli import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("package", help="write what machines without SSH install")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--group", metavar="NAME", required=True, help="of developers")
    parser.add_argument("--out", metavar="DIR", required=True, type=Path, help="where to write")
    parser.add_argument(
        "--user", metavar="LOGIN", help="for this developer alone, key included: keep it secret"
    )
    parser.add_argument(
        "--client", action="store_true", help="with the client: machines need no npm then"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    # Loaded when it is asked for: the roles import pyinfra, which takes a third of a second.
    from mirrorfleet.jobs import package

    return package.main(
        chosen.file, chosen.group, chosen.out, chosen.user, with_client=chosen.client
    )
