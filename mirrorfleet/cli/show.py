"""Show the files that each host will get."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file


@click.command(
    "show",
    cls=Command,
    examples=(
        "mirrorfleet show inventories/prod.yml --host gw-a",
        "mirrorfleet show inventories/prod.yml --values",
    ),
)
@fleet_file
@click.option("--host", metavar="NAME", help="Only this host.")
@click.option(
    "--values", is_flag=True, help="The values instead, each with the line that decides it."
)
@click.option("--json", "as_json", is_flag=True, help="Print the values as JSON, by host.")
def command(file: str, host: str | None, *, values: bool, as_json: bool) -> int:
    """Show the files that each host will get, or their values.

    References stand in place of secrets. No host is contacted: values that depend on a live host
    are marked.
    """
    if values or as_json:
        from mirrorfleet.cli.why import show_values

        return show_values(file, host, as_json=as_json)
    # The roles import pyinfra, which takes a third of a second: `--help` does without.
    from mirrorfleet.jobs import show

    return show.main([file, *([host] if host else [])])
