"""Show what the services log: `mirrorfleet logs`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from mirrorfleet.cli.command import Command, exclusive
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.cli.live import options, session
from mirrorfleet.cli.live.read import connected

if TYPE_CHECKING:
    from mirrorfleet.jobs.logs.lines import Entry
    from mirrorfleet.planning import HostPlan

PAUSE = 2
"""Seconds between two questions of ``--follow``."""

MOST = 10_000
"""Most lines of one host."""

SINCE = re.compile(r"([1-9][0-9]{0,4})([smhd])|\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")
SERVICE = re.compile(r"[a-z0-9*?._-]+")


@click.command(
    "logs",
    cls=Command,
    examples=(
        "mirrorfleet logs inventories/prod.yml --limit gw-1 --errors",
        "mirrorfleet logs inventories/prod.yml --service 'vllm-*' --since 10m --follow",
    ),
)
@fleet_file
@options.limit
@click.option(
    "--service",
    "services",
    metavar="NAME",
    multiple=True,
    help="Only this service, such as litellm or 'vllm-*'; several times for several.",
)
@click.option(
    "--since",
    metavar="TIME",
    default="1h",
    show_default=True,
    help="An age, such as 10m or 2d, or a time of the hosts, such as '2026-11-30 08:15'.",
)
@click.option(
    "--lines",
    metavar="N",
    type=click.IntRange(1, MOST),
    default=200,
    show_default=True,
    help="Most lines of each host, the latest ones.",
)
@click.option("--errors", is_flag=True, help="Only errors, by level or by words such as ERROR.")
@click.option("--grep", metavar="TEXT", help="Only lines that match this regular expression.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@options.as_json
def command(
    file: str,
    limit: tuple[str, ...],
    services: tuple[str, ...],
    since: str,
    lines: int,
    grep: str | None,
    *,
    errors: bool,
    follow: bool,
    as_json: bool,
) -> int:
    """Show what the services log: all hosts in one list, in the order of time (UTC).

    One command on each host with a service, no change. `--json` prints one object per line. Ends
    with 1 if a host was not read.
    """
    exclusive(errors=errors, grep=grep)
    age = SINCE.fullmatch(since)
    if not age:
        raise click.UsageError(
            f"`--since {since}` is no age, such as 10m, and no time, such as '2026-11-30 08:15'."
        )
    for name in services:
        if not SERVICE.fullmatch(name):
            raise click.UsageError(
                f"`--service {name}` is no name of a service, such as litellm or 'vllm-*'. "
                "`mirrorfleet status` lists them."
            )
    try:
        re.compile(grep or "")
    except re.error as error:
        raise click.UsageError(
            f"`--grep {grep}` is no regular expression: {error}. Write a backslash before each of "
            "( [ { that stands for itself."
        ) from None
    session.start()
    # After the start: these import pyinfra.
    from mirrorfleet.jobs.logs import Selection, read
    from mirrorfleet.jobs.logs.lines import cursors, in_order
    from mirrorfleet.runtime.readonly import read_all

    selection = Selection(
        since=f"-{since}" if age[1] else since,
        services=services,
        lines=lines,
        text=grep or "",
        errors=errors,
    )
    with connected(file, "logs", limit, _serving) as state:
        after: dict[str, str] = {}
        while True:
            found, unread = read_all(state, partial(read, selection=selection, after=after))
            entries = in_order(entry for each in found.values() for entry in each)
            _print(entries, unread, as_json=as_json)
            if not follow or unread:
                break
            after |= cursors(entries)
            time.sleep(PAUSE)
    return 1 if unread else 0


def _serving(plans: Mapping[str, HostPlan]) -> Sequence[str]:
    """Return the hosts with a service; no other host is contacted."""
    found = [name for name, plan in plans.items() if plan.services]
    if not found:
        raise click.UsageError("no host of the fleet file runs a service, so there are no logs.")
    return found


def _print(entries: Sequence[Entry], unread: Mapping[str, str], *, as_json: bool) -> None:
    from mirrorfleet import terminal
    from mirrorfleet.jobs.logs.lines import line

    console = terminal.console()
    width = max((len(entry.host) for entry in entries), default=0)
    for entry in entries:
        if as_json:
            click.echo(json.dumps(entry.report()))
        else:
            console.print(line(entry, width), soft_wrap=True)
    for host, reason in unread.items():
        click.echo(f"{host}: {reason}: its lines are missing here", err=True)
