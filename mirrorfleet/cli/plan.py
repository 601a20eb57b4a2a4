"""Show the values of each host and where they come from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirrorfleet import fleet, terminal
from mirrorfleet.cli.command import Command, exclusive
from mirrorfleet.cli.fleet_file import fleet_file
from mirrorfleet.config.problems import did_you_mean, printable
from mirrorfleet.planning import FleetPlan, HostPlan
from mirrorfleet.planning.explain import Source, Value, group_values, values


@click.command(
    "plan",
    cls=Command,
    examples=(
        "mirrorfleet plan inventories/prod.yml --host gpu-a",
        "mirrorfleet plan inventories/prod.yml --why CLAUDE_CODE_MAX_CONTEXT_TOKENS",
    ),
)
@fleet_file
@click.option("--host", metavar="NAME", help="Only this host.")
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON, by host.")
@click.option("--why", metavar="KEY", help="Only where a value comes from, such as `workers`.")
def command(file: str, host: str | None, why: str | None, *, as_json: bool) -> int:
    """Show the values of each host and where they come from.

    Each value has the line of the fleet file that decides it, or the reason of its default. No host
    is contacted.
    """
    exclusive(json=as_json, why=why)
    planned = fleet.plan(fleet.load(file))
    if host and host not in planned.hosts:
        return _unknown("host", host, planned.hosts)
    hosts = [plan for name, plan in planned.hosts.items() if host in (None, name)]
    if as_json:
        print(json.dumps({plan.name: plan.to_json() for plan in hosts}, indent=2, default=str))
        return 0
    console = terminal.console()
    if why:
        return _explain(console, planned, hosts, why)
    for plan in hosts:
        console.print(_table(planned, plan))
    return 0


def _unknown(kind: str, word: str, known: Iterable[str]) -> int:
    print(f"There is no {kind} '{word}'. {did_you_mean(word, known)}".rstrip(), file=sys.stderr)
    return 1


def _table(planned: FleetPlan, plan: HostPlan) -> Table:
    address = planned.fleet.hosts[plan.name].address
    table = Table(title=f"{plan.name} ({address})", title_justify="left", expand=False)
    table.add_column("value", overflow="fold")
    table.add_column("is", overflow="fold")
    table.add_column("because of", overflow="fold", style="dim")
    for each in values(planned, plan):
        if each.value is not None and each.path != ("name",):
            cells = (".".join(each.path), _show(each.value), _origin(each))
            table.add_row(*map(_line, cells))
    return table


def _show(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_show, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _origin(each: Value) -> str:
    """Name the line that decides, or say that nothing in the file does."""
    decisive = [source for source in each.sources if source.place]
    if decisive:
        return f"{decisive[0].place} {decisive[0].key}"
    return f"default of {each.sources[-1].key}" if each.sources else each.reason


def _explain(console: Console, planned: FleetPlan, hosts: list[HostPlan], key: str) -> int:
    every = [each for plan in hosts for each in values(planned, plan)]
    # Any run of whole words names a value: `workers`, `env.API_TIMEOUT_MS`, `engines.coder`.
    found = [each for each in every if f".{key}." in f".{'.'.join(each.path)}."]
    if not found:
        return _unknown("value", key, {each.path[-1] for each in every})
    for same in group_values(found):
        console.print(_line(f"{_some(same.paths)} = {_show(same.value.value)}", style="bold"))
        console.print(_line(f"    on {_some(same.hosts)}"))
        sources = same.value.sources
        for source in [it for it in sources if it.place] or sources[-1:]:
            console.print(_line(f"    {_source(source)}"))
        if same.value.reason:
            console.print(_line(f"    {same.value.reason}"))
    return 0


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)


def _some(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:2])}{_more(words[2:])}"


def _more(words: list[str]) -> str:
    return f" and {len(words)} more" if words else ""


def _source(source: Source) -> str:
    if not source.place:
        return f"{source.key}: not in the file"
    value = f": {_show(source.value)}" if not isinstance(source.value, dict | list) else ""
    return f"{source.place} {source.key}{value}"
