"""Make the fleet match its file: `mirrorfleet apply`."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options
from mirrorfleet.cli.live.change import change


@click.command(
    "apply",
    cls=Command,
    examples=(
        "mirrorfleet apply inventories/prod.yml",
        "mirrorfleet apply inventories/prod.yml --limit 'gw-*' --yes",
    ),
)
@fleet_file
@options.limit
@options.diff
@options.yes
@options.as_json
@click.option(
    "--database-moved",
    is_flag=True,
    help="Let gateways use another database, although the present one has keys.",
)
@click.option(
    "--salt-key-changed",
    is_flag=True,
    help="Accept another salt key: the keys and passwords in the database become unreadable.",
)
@click.option(
    "--accept-cache-loss",
    is_flag=True,
    help="Keep new generations that lose more than a fifth of the prefix cache's hits.",
)
def command(
    file: str,
    limit: tuple[str, ...],
    *,
    diff: bool,
    yes: bool,
    as_json: bool,
    database_moved: bool,
    salt_key_changed: bool,
    accept_cache_loss: bool,
) -> int:
    """Make the fleet match its file.

    Reads all hosts, and prints what will change. Problems are reported before the first change.
    Asks for confirmation, then changes the hosts: engines, gateways, load balancers, clients.
    """
    data = options.data(
        database="moved" if database_moved else "",
        salt_key="changed" if salt_key_changed else "",
        cache_loss="accepted" if accept_cache_loss else "",
    )
    return change("mirror", file, limit, data=data, diff=diff, yes=yes, as_json=as_json)
