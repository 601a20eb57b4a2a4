"""Fetch what hosts will be sent, for a controller without internet."""

from __future__ import annotations

import argparse

from mirrorfleet.cli import Commands


def declare(commands: Commands) -> None:
    parser = commands.add_parser("fetch", help="fetch what hosts will be sent, beforehand")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--python",
        default="3.11.2",
        metavar="VERSION",
        help="of the hosts, as `python3 -V` says it there (3.11.2: Debian 12's)",
    )
    parser.add_argument(
        "--architecture", default="x86_64", choices=("x86_64", "aarch64"), help="of the hosts"
    )
    parser.add_argument("--to", metavar="DIRECTORY", help="there, and not into this user's cache")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    # Loaded when it is asked for: the roles import pyinfra, which takes a third of a second.
    from mirrorfleet.jobs import wheelhouse

    return wheelhouse.main(chosen.file, chosen.python, chosen.architecture, chosen.to)
