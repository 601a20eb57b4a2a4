"""Install NVIDIA's driver: `mirrorfleet drivers`."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.change import change


@click.command(
    "drivers", cls=Command, examples=("mirrorfleet drivers inventories/prod.yml --limit gpu-a",)
)
@fleet_file
@options.limit
@options.yes
@options.as_json
def command(file: str, limit: tuple[str, ...], *, yes: bool, as_json: bool) -> int:
    """Install NVIDIA's driver on the hosts whose `driver` names its package.

    Reboots nothing, and reports which hosts need a reboot.
    """
    return change("drivers", file, limit, yes=yes, as_json=as_json)
