"""Draw the fleet as a Mermaid flow chart."""

from __future__ import annotations

import click

from mirrorfleet import fleet
from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.planning import topology


@click.command(
    "topology",
    cls=Command,
    examples=("mirrorfleet topology inventories/prod.yml >docs/fleet.mmd",),
)
@fleet_file
def command(file: str) -> int:
    """Draw the fleet as a Mermaid flow chart, for a README or a review.

    It shows how requests go from the developers through the gateways to the models.
    """
    print(topology.mermaid(fleet.load(file)), end="")
    return 0
