"""Verify or remove weights on engine hosts: `mirrorfleet weights`."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command, Group
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.change import change


@click.group("weights", cls=Group, examples=("mirrorfleet weights verify inventories/prod.yml",))
def command() -> None:
    """Verify or remove weights on engine hosts."""


@command.command(
    "verify",
    cls=Command,
    short_help="Compare weights with what was downloaded",
    examples=("mirrorfleet weights verify inventories/prod.yml",),
)
@fleet_file
@options.limit
@options.as_json
def verify(file: str, limit: tuple[str, ...], *, as_json: bool) -> int:
    """Read all weights, and compare every byte with what was downloaded.

    Takes minutes per 100 GB; running engines go on. The next `mirrorfleet apply` fetches damaged
    files again.
    """
    return change("verify_weights", file, limit, yes=True, as_json=as_json)


@command.command(
    "remove",
    cls=Command,
    short_help="Remove weights that no service uses",
    examples=("mirrorfleet weights remove inventories/prod.yml",),
)
@fleet_file
@options.limit
@options.yes
@options.as_json
def remove(file: str, limit: tuple[str, ...], *, yes: bool, as_json: bool) -> int:
    """Remove the weights and environments that no service on a host uses any more.

    Those of the last three generations of a service stay, so that you can roll back.
    """
    return change("remove_weights", file, limit, yes=yes, as_json=as_json)
