"""Remove Mirrorfleet from hosts: `mirrorfleet remove`."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command, Group
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.change import change


@click.group(
    "remove",
    cls=Group,
    examples=("mirrorfleet remove hosts inventories/prod.yml --limit gpu-b",),
)
def command() -> None:
    """Remove Mirrorfleet from hosts, or from developers' machines."""


@command.command(
    "hosts",
    cls=Command,
    short_help="Remove everything from hosts that will leave the fleet",
    examples=("mirrorfleet remove hosts inventories/prod.yml --limit gpu-b",),
)
@fleet_file
@options.limit
@click.option("--models", is_flag=True, help="Also weights and models.")
@click.option("--database", is_flag=True, help="Also a database with its backups.")
@options.yes
@options.as_json
def hosts(
    file: str, limit: tuple[str, ...], *, models: bool, database: bool, yes: bool, as_json: bool
) -> int:
    """Remove everything from hosts that will leave the fleet file.

    Hosts that still have a part in the fleet file are rejected.
    """
    data = options.data(models="remove" if models else "", database="remove" if database else "")
    return change("remove_hosts", file, limit, data=data, yes=yes, as_json=as_json)


@command.command(
    "clients",
    cls=Command,
    short_help="Remove Claude Code's settings, keys and commands",
    examples=("mirrorfleet remove clients inventories/prod.yml",),
)
@fleet_file
@options.limit
@options.yes
@options.as_json
def clients(file: str, limit: tuple[str, ...], *, yes: bool, as_json: bool) -> int:
    """Remove Claude Code's settings, keys and commands from developers' machines.

    A developer's own file comes back byte for byte if it has not changed since.
    """
    return change("remove_clients", file, limit, yes=yes, as_json=as_json)
