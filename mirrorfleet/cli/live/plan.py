"""Show what a run would change: `mirrorfleet plan`."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.change import PENDING, change


@click.command(
    "plan",
    cls=Command,
    examples=(
        "mirrorfleet plan inventories/prod.yml",
        "mirrorfleet plan inventories/prod.yml --limit gw-1 --diff",
    ),
)
@fleet_file
@options.limit
@options.diff
@options.as_json
@click.option(
    "--exit-code", is_flag=True, help=f"End with {PENDING} if something would change, as in CI."
)
def command(
    file: str, limit: tuple[str, ...], *, diff: bool, as_json: bool, exit_code: bool
) -> int:
    """Show what `apply` would change. No host is changed.

    Reads all hosts, one command each. Hosts with the same changes are one block. For the values in
    the files, see `mirrorfleet show`; for where a value comes from, `mirrorfleet why`.
    """
    code = change("mirror", file, limit, diff=diff, only_show=True, as_json=as_json)
    return 0 if code == PENDING and not exit_code else code
