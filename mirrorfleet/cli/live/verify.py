"""Ask through every layer as developers do: `mirrorfleet verify`."""

from __future__ import annotations

from collections.abc import Mapping

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.read import read
from mirrorfleet.config.problems import did_you_mean
from mirrorfleet.planning import HostPlan


@click.command(
    "verify",
    cls=Command,
    examples=(
        "mirrorfleet verify inventories/prod.yml",
        "mirrorfleet verify inventories/prod.yml --all --models coder,fast",
        "mirrorfleet verify inventories/prod.yml --canary",
    ),
)
@fleet_file
@options.limit
@options.as_json
@click.option("--all", "everyone", is_flag=True, help="Every developer, not one of each group.")
@click.option("--models", metavar="NAME,...", help="Only these models.")
@click.option("--fallbacks", is_flag=True, help="Ask the fallbacks of each model too.")
@click.option(
    "--canary",
    is_flag=True,
    help="Instead of clients: measure two turns with engines and gateways, and compare.",
)
def command(
    file: str,
    limit: tuple[str, ...],
    models: str | None,
    *,
    as_json: bool,
    everyone: bool,
    fallbacks: bool,
    canary: bool,
) -> int:
    """Run Claude Code as developers do, and report which layer fails.

    Runs as one developer of each group, through gateway and engine. It also sends what a day holds:
    images, PDFs, searches, thinking. Changes no host. Ends with 1 on any failure.
    """
    if canary and (everyone or models or fallbacks):
        raise click.UsageError(
            "`--canary` runs no clients: remove `--all`, `--models` and `--fallbacks`."
        )

    def known(plans: Mapping[str, HostPlan]) -> None:
        # After the start of the session: this imports pyinfra.
        from mirrorfleet.jobs.verify.targets import selectable

        names = selectable(plans.values())
        for name in models.split(",") if models else ():
            if name not in names:
                hint = did_you_mean(name, names) or "The fleet file has no developers on hosts."
                raise click.UsageError(
                    f"no developer's session starts with the model of `--models {name}`, or uses "
                    f"it as a tier. {hint}"
                )

    data = options.data(
        who="all" if everyone else "",
        models=models,
        fallbacks="ask" if fallbacks else "",
        canary="ask" if canary else "",
        report="-" if as_json else "",
    )
    return read("verify", file, limit, data, known)
