"""Compare releases with advisories: `mirrorfleet audit`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options, session
from mirrorfleet.cli.live.read import connected

if TYPE_CHECKING:
    from mirrorfleet.config import Fleet
    from mirrorfleet.config.advisories import Package
    from mirrorfleet.jobs.audit.findings import Installed


@click.command(
    "audit",
    cls=Command,
    examples=(
        "mirrorfleet audit inventories/prod.yml",
        "mirrorfleet audit inventories/prod.yml --offline --json",
        "mirrorfleet audit inventories/prod.yml --refresh",
    ),
)
@fleet_file
@options.limit
@options.as_json
@click.option("--offline", is_flag=True, help="Only the fleet file: contact no host.")
@click.option(
    "--refresh", is_flag=True, help="First download advisories from osv.dev into advisories/."
)
def command(
    file: str, limit: tuple[str, ...], *, as_json: bool, offline: bool, refresh: bool
) -> int:
    """Compare releases with known advisories.

    Reads the fleet file, its lock files, and what runs on the hosts.

    One command on each host, no change. Ends with 1 if a release must be replaced.
    """
    if offline and limit:
        raise click.UsageError("`--offline` contacts no host: remove `--limit`.")
    if not offline:
        session.start()
    # After the start: these import pyinfra.
    from mirrorfleet import fleet, terminal
    from mirrorfleet.jobs.audit import report, used
    from mirrorfleet.jobs.audit.findings import findings, updates

    with fleet.with_any_release():
        loaded = fleet.load(file)
        found: Mapping[str, Installed] = {}
        unreachable: Mapping[str, str] = {}
        away: Mapping[str, str] = {}
        if not offline:
            found, unreachable, away = _hosts(file, limit)
    uses = list(used(loaded))
    uses += [(release, host) for host, installed in found.items() for release in installed.releases]
    if refresh:
        loaded = _refreshed(file, loaded, [release.package for release, _ in uses])
    judged, pending = findings(loaded, uses), updates(found)
    if as_json:
        json.dump(report.report(judged, pending, unreachable, away), sys.stdout, indent=1)
        print()
    else:
        report.show(terminal.console(), judged, pending, unreachable)
    return 1 if unreachable or pending or any(one.is_bad for one in judged) else 0


def _hosts(
    file: str, limit: tuple[str, ...]
) -> tuple[Mapping[str, Installed], Mapping[str, str], Mapping[str, str]]:
    """Return what the hosts have, why some could not be read, and why some are offline."""
    from mirrorfleet.jobs.audit import read
    from mirrorfleet.runtime.intermittent import offline
    from mirrorfleet.runtime.readonly import read_all

    with connected(file, "audit", limit) as state:
        found, unreachable = read_all(state, read)
        return found, unreachable, offline(state)


def _refreshed(file: str, loaded: Fleet, packages: list[Package]) -> Fleet:
    """Download the advisories about packages, and return the fleet with them."""
    from dataclasses import replace

    from mirrorfleet import advisory_folders
    from mirrorfleet.jobs.audit.refresh import RefreshError, refresh

    path = Path(file)
    folder = advisory_folders.own_folder(path) or path.resolve().parent / advisory_folders.OWN
    try:
        count = refresh(folder, packages)
    except RefreshError as error:
        raise click.ClickException(
            f"no advisories were downloaded: {error}. Try again later, or run without `--refresh`."
        ) from None
    print(f"{count} advisories in {folder}", file=sys.stderr)
    return replace(loaded, advisories=advisory_folders.advisories(path))
