"""List the keys of the gateways."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file


@click.command(
    "keys",
    cls=Command,
    examples=(
        "mirrorfleet keys inventories/prod.yml",
        "mirrorfleet keys inventories/prod.yml --print ada",
    ),
)
@fleet_file
@click.option("--print", "name", metavar="NAME", help="Print this holder's key, and nothing else.")
@click.option("--pipe", is_flag=True, help="Print the key even where there is no terminal.")
def command(file: str, name: str | None, *, pipe: bool) -> int:
    """List the keys of the gateways: holder, group, models, last day, and digest.

    The digests need the key root, or the keys themselves, on this machine. No host is contacted.
    """
    # The roles import pyinfra, which takes a third of a second: `--help` does without.
    from mirrorfleet.jobs import keys

    return keys.main(file, name, pipe)
