"""Show the values of each host, and where they come from: `show --values` and `why`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from textwrap import wrap

import click
from rich.console import Console
from rich.text import Text

from mirrorfleet import fleet, terminal
from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.config.problems import did_you_mean, printable
from mirrorfleet.planning import FleetPlan, HostPlan
from mirrorfleet.planning.engines import engine_notices
from mirrorfleet.planning.explain import Source, Value, group_values, values


def show_values(file: str, host: str | None, *, as_json: bool) -> int:
    """Print all values of each host, or of one; return the exit code."""
    planned = fleet.plan(fleet.load(file))
    if host and host not in planned.hosts:
        return _unknown("host", host, planned.hosts)
    hosts = [plan for name, plan in planned.hosts.items() if host in (None, name)]
    if as_json:
        print(json.dumps({plan.name: plan.to_json() for plan in hosts}, indent=2, default=str))
        return 0
    for plan in hosts:
        console = terminal.console()
        _print_values(console, planned, plan)
        for notice in engine_notices(planned.fleet, plan.name, plan.engines):
            _print_reason(console, f"note: {notice}", indent="", style="yellow")
    return 0


@click.command(
    "why",
    cls=Command,
    examples=(
        "mirrorfleet why workers inventories/prod.yml",
        "mirrorfleet why gateway.workers inventories/prod.yml --host gw-a",
    ),
)
@click.argument("key", metavar="KEY", help="The name of a value, such as `workers`.")
@fleet_file
@click.option("--host", metavar="NAME", help="Only this host.")
def command(key: str, file: str, host: str | None) -> int:
    """Show where a value comes from: a line of the fleet file, a default, or a derivation.

    No host is contacted.
    """
    planned = fleet.plan(fleet.load(file))
    if host and host not in planned.hosts:
        return _unknown("host", host, planned.hosts)
    hosts = [plan for name, plan in planned.hosts.items() if host in (None, name)]
    return _explain(terminal.console(), planned, hosts, key)


def _unknown(kind: str, word: str, known: Iterable[str]) -> int:
    print(f"There is no {kind} '{word}'. {did_you_mean(word, known)}".rstrip(), file=sys.stderr)
    return 1


def _print_values(console: Console, planned: FleetPlan, plan: HostPlan) -> None:
    """Print ``key = value`` for each value of a host, and its origin in an indented line."""
    _print(console, f"{plan.name} ({planned.fleet.hosts[plan.name].address})", style="bold")
    for value in values(planned, plan):
        if value.value is not None and value.path != ("name",):
            _print(console, f"{'.'.join(value.path)} = {_show(value.value)}")
            if origin := _origin(value):
                _print(console, f"    {origin}", style="dim")
            _print_reason(console, value.reason)


def _show(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_show, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _origin(value: Value) -> str:
    """Return the line of the fleet file that decides a value, or its default, or ""."""
    for source in [source for source in value.sources if source.place] or value.sources[-1:]:
        return f"{source.place} {source.key}" if source.place else f"default of {source.key}"
    return ""


def _explain(console: Console, planned: FleetPlan, hosts: list[HostPlan], key: str) -> int:
    every = [each for plan in hosts for each in values(planned, plan)]
    # Any run of whole words names a value: `workers`, `env.API_TIMEOUT_MS`, `engines.coder`.
    found = [each for each in every if f".{key}." in f".{'.'.join(each.path)}."]
    if not found:
        parts = key.count(".") + 1
        known = {".".join(path) for value in every for path in (value.path[-parts:], value.path)}
        if longer := sorted({value.path[-1] for value in every if key in value.path[-1]}, key=len):
            print(f"There is no value '{key}'. Did you mean '{longer[0]}'?", file=sys.stderr)
            return 1
        return _unknown("value", key, known)
    for same in group_values(found):
        _print(console, f"{_some(same.paths)} = {_show(same.value.value)}", style="bold")
        _print(console, f"    on {_some(same.hosts)}")
        sources = same.value.sources
        for source in [it for it in sources if it.place] or sources[-1:]:
            _print(console, f"    {_source(source)}")
        _print_reason(console, same.value.reason)
    return 0


def _print(console: Console, text: str, style: str = "") -> None:
    """Print one line, which only the terminal itself wraps."""
    console.print(Text(printable(text), style=style), soft_wrap=True)


def _print_reason(console: Console, reason: str, indent: str = "    ", style: str = "dim") -> None:
    """Print a reason, indented, and wrapped between words at the width of the console."""
    width = console.width - len(indent)
    for line in wrap(printable(reason), width, break_long_words=False, break_on_hyphens=False):
        _print(console, f"{indent}{line}", style=style)


def _some(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:2])}{_more(words[2:])}"


def _more(words: list[str]) -> str:
    return f" and {len(words)} more" if words else ""


def _source(source: Source) -> str:
    if not source.place:
        default = "" if source.default is None else f", default {_show(source.default)}"
        return f"{source.key}: not in the file{default}"
    value = f": {_show(source.value)}" if not isinstance(source.value, dict | list) else ""
    return f"{source.place} {source.key}{value}"
