"""Write the configuration of Prometheus and Grafana."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mirrorfleet import fleet, monitoring
from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import OTHERWISE, default


@click.command(
    "monitoring",
    cls=Command,
    examples=("mirrorfleet monitoring inventories/prod.yml monitoring",),
)
@click.argument(
    "paths",
    nargs=-1,
    metavar="[FILE] DIRECTORY",
    type=click.Path(),
    help=f"The fleet file (default: {OTHERWISE}), and the directory to write to.",
)
@click.pass_context
def command(context: click.Context, paths: tuple[str, ...]) -> int:
    """Write the configuration of Prometheus and Grafana for a fleet.

    It has the targets by the names of the fleet, the alert rules, and a dashboard. Existing files
    of the same names are replaced. No host is contacted.
    """
    if len(paths) not in (1, 2):
        raise click.UsageError(
            f"needs a fleet file and a directory, as in `{context.command_path} FILE DIRECTORY`."
        )
    file = paths[0] if len(paths) == 2 else default(context.command_path)
    directory = Path(paths[-1])
    planned = fleet.plan(fleet.load(file))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in monitoring.files(planned).items():
            (directory / name).write_text(content, "utf-8")
            print(directory / name)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    for each in monitoring.unmonitored(planned):
        print(f"warning: {each}", file=sys.stderr)
    return 0
