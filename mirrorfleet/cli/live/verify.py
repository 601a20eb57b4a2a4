"""Ask through every layer as developers do: `mirrorfleet verify`."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.read import read


@click.command(
    "verify",
    cls=Command,
    examples=(
        "mirrorfleet verify inventories/prod.yml",
        "mirrorfleet verify inventories/prod.yml --all --models coder,fast",
    ),
)
@fleet_file
@options.limit
@options.as_json
@click.option("--all", "everyone", is_flag=True, help="Every developer, not one of each group.")
@click.option("--models", metavar="NAME,...", help="Only these models.")
def command(
    file: str, limit: tuple[str, ...], models: str | None, *, as_json: bool, everyone: bool
) -> int:
    """Run Claude Code as developers do, and report which layer fails.

    Runs as one developer of each group, through gateway and engine. Changes no host. Ends with 1 on
    any failure.
    """
    data = options.data(who="all" if everyone else "", models=models, report="-" if as_json else "")
    return read("verify", file, limit, data)
