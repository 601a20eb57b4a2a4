"""Return a service to its former generation: `mirrorfleet rollback`."""

from __future__ import annotations

from collections.abc import Mapping

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.change import change
from mirrorfleet.config.problems import did_you_mean
from mirrorfleet.planning import HostPlan


@click.command(
    "rollback",
    cls=Command,
    examples=(
        "mirrorfleet rollback inventories/prod.yml",
        "mirrorfleet rollback inventories/prod.yml --service redis --yes",
    ),
)
@fleet_file
@click.option(
    "--service",
    metavar="NAME",
    default="litellm",
    show_default=True,
    help="A service, as `mirrorfleet status` names it.",
)
@options.limit
@options.yes
@options.as_json
def command(file: str, service: str, limit: tuple[str, ...], *, yes: bool, as_json: bool) -> int:
    """Return a service to its last other verified generation, one host after another.

    Needs no secret. The next `mirrorfleet apply` applies the fleet file again.
    """

    def known(plans: Mapping[str, HostPlan]) -> None:
        # After the start of the session: this imports pyinfra.
        from mirrorfleet.jobs.rollback import services

        if service not in (names := services(plans.values())):
            hint = did_you_mean(service, names) or "The fleet file has none."
            raise click.UsageError(f"no host has the service of `--service {service}`. {hint}")

    data = {"service": service}
    return change("rollback", file, limit, data=data, yes=yes, as_json=as_json, choose=known)
