"""Write installers for machines without SSH."""

from __future__ import annotations

from pathlib import Path

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file


@click.command(
    "package",
    cls=Command,
    examples=(
        "mirrorfleet package inventories/prod.yml --group team --out dist",
        "mirrorfleet package inventories/prod.yml --group team --user ada --out dist",
    ),
)
@fleet_file
@click.option("--group", metavar="NAME", required=True, help="Group of developers.")
@click.option(
    "--out",
    metavar="DIRECTORY",
    required=True,
    type=click.Path(path_type=Path),
    help="Directory to write to.",
)
@click.option(
    "--user",
    metavar="LOGIN",
    help="Write the installer for this developer alone. It holds the key: keep it secret.",
)
@click.option(
    "--client", is_flag=True, help="Add Claude Code itself, for machines that cannot reach npm."
)
def command(file: str, group: str, out: Path, user: str | None, *, client: bool) -> int:
    """Write installers for machines without SSH, and files for device management.

    For a whole group, they hold no key. With --user, the installer sets up one developer with the
    key. No host is contacted.
    """
    # The roles import pyinfra, which takes a third of a second: `--help` does without.
    from mirrorfleet.jobs import package

    return package.main(file, group, out, user, with_client=client)
