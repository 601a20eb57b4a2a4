"""Show the files that each host will get."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file


@click.command(
    "show",
    cls=Command,
    examples=("mirrorfleet show inventories/prod.yml --host gw-a",),
)
@fleet_file
@click.option("--host", metavar="NAME", help="Only the files of this host.")
def command(file: str, host: str | None) -> int:
    """Show the files that each host will get.

    References stand in place of secrets. No host is contacted: values that depend on a live host
    are marked.
    """
    # The roles import pyinfra, which takes a third of a second: `--help` does without.
    from mirrorfleet.jobs import show

    return show.main([file, *([host] if host else [])])
