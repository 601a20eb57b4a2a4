"""Draw who talks to whom, as a Mermaid flow chart for a README or a review."""

from __future__ import annotations

import argparse

from mirrorfleet import fleet
from mirrorfleet.cli import Commands
from mirrorfleet.planning import topology


def declare(commands: Commands) -> None:
    parser = commands.add_parser("topology", help="draw the fleet as a Mermaid flow chart")
    parser.add_argument("file", metavar="FILE")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    print(topology.mermaid(fleet.load(chosen.file)), end="")
    return 0
