"""Install NVIDIA's driver: `mirrorfleet drivers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.change import change
from mirrorfleet.planning import HostPlan


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
    return change("drivers", file, limit, yes=yes, as_json=as_json, choose=_with_driver)


def _with_driver(plans: Mapping[str, HostPlan]) -> Sequence[str]:
    """Return the hosts with a driver to install; no other host is contacted."""
    found = [name for name, plan in plans.items() if plan.driver]
    if not found:
        raise click.UsageError(
            "no host has a `driver`: name its package in the fleet file, as in "
            "hosts.gpu-a.driver: nvidia-driver-580-server."
        )
    return found
