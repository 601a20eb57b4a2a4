"""Download the files that hosts will receive."""

from __future__ import annotations

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file


@click.command(
    "fetch",
    cls=Command,
    examples=(
        "mirrorfleet fetch inventories/prod.yml",
        "mirrorfleet fetch --python 3.13.5 --to bundle inventories/prod.yml",
    ),
)
@fleet_file
@click.option(
    "--python",
    default="3.11.2",
    show_default=True,
    metavar="VERSION",
    help="Python of the hosts, as `python3 -V` prints it there; 3.11.2 is Debian 12's.",
)
@click.option(
    "--architecture",
    default="x86_64",
    show_default=True,
    type=click.Choice(["x86_64", "aarch64"]),
    help="Architecture of the hosts.",
)
@click.option(
    "--to", metavar="DIRECTORY", type=click.Path(), help="Store the files there, not in your cache."
)
def command(file: str, python: str, architecture: str, to: str | None) -> int:
    """Download the files that hosts will receive: wheels, releases, clients.

    Run it before a run without internet, or on another machine. It needs `packages: controller` in
    the fleet file. No host is contacted.
    """
    # The roles import pyinfra, which takes a third of a second: `--help` does without.
    from mirrorfleet.jobs import wheelhouse

    return wheelhouse.main(file, python, architecture, to)
