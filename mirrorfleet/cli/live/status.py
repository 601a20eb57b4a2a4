"""Show the state of the fleet: `mirrorfleet status`."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.read import read


@click.command(
    "status",
    cls=Command,
    examples=(
        "mirrorfleet status inventories/prod.yml",
        "mirrorfleet status inventories/prod.yml --json",
    ),
)
@fleet_file
@options.limit
@options.as_json
def command(file: str, limit: tuple[str, ...], *, as_json: bool) -> int:
    """Show what runs on each host, since when, and what differs from the fleet file.

    One command on each host, no change. Ends with 1 if anything differs.
    """
    return read("status", file, limit, options.data(report="-" if as_json else ""))
