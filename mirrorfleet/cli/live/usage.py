"""Report who used what: `mirrorfleet usage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from mirrorfleet.cli.command import Command, exclusive
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.read import read
from mirrorfleet.planning import HostPlan

NOTHING = (
    "no gateway of this run records turns: write `usage: {}` below gateway in the fleet file, and "
    "run `mirrorfleet apply`."
)


@click.command(
    "usage",
    cls=Command,
    examples=(
        "mirrorfleet usage inventories/prod.yml --by person,model",
        "mirrorfleet usage inventories/prod.yml --since 2026-11-01 --html report.html",
    ),
)
@fleet_file
@options.limit
@click.option(
    "--since",
    metavar="DAY",
    default="30d",
    show_default=True,
    help="First day, such as 2026-11-01, or the number of days, such as 7d.",
)
@click.option("--until", metavar="DAY", help="Last day.  [default: today]")
@click.option(
    "--by",
    metavar="COLUMN,...",
    default="group,model",
    show_default=True,
    help="Columns: day, person, group, model, deployment, gateway.",
)
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@click.option(
    "--html",
    metavar="PATH",
    type=click.Path(dir_okay=False, writable=True),
    help="Write one HTML page with pictures.",
)
def command(
    file: str,
    limit: tuple[str, ...],
    since: str,
    until: str | None,
    by: str,
    html: str | None,
    *,
    as_json: bool,
    as_csv: bool,
) -> int:
    """Report turns, tokens and costs by person, group, model or day.

    Needs `gateway.usage` in the fleet file. Runs one command on each gateway and changes nothing.
    Days are those of UTC. Ends with 1 if a gateway was not read: its turns are then missing.
    """
    exclusive(json=as_json, csv=as_csv, html=html)
    _check(since, until, by)
    kind = "json" if as_json else "csv" if as_csv else "html" if html else "table"
    data = options.data(since=since, until=until, by=by, format=kind, report=html or "-")
    return read("usage", file, limit, data, choose=_recording)


def _check(since: str, until: str | None, by: str) -> None:
    """Raise ``UsageError`` for options that the report cannot read."""
    from mirrorfleet.jobs.usage.period import period
    from mirrorfleet.jobs.usage.sums import columns

    try:
        period(since, until or "")
        columns(by)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def _recording(plans: Mapping[str, HostPlan]) -> Sequence[str]:
    """Return the gateways that record turns; no other host is contacted."""
    found = [name for name, plan in plans.items() if plan.gateway and plan.gateway.usage]
    if not found:
        raise click.UsageError(NOTHING)
    return found
