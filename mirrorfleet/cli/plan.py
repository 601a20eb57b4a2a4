"""Show what each host is to be, and where every value comes from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirrorfleet import fleet, terminal
from mirrorfleet.cli import Commands
from mirrorfleet.config.problems import did_you_mean, printable
from mirrorfleet.planning import FleetPlan, HostPlan
from mirrorfleet.planning.explain import Source, Value, alike, values


def declare(commands: Commands) -> None:
    parser = commands.add_parser("plan", help="show what each host is to be, and why")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--host", metavar="NAME", help="this host only")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs: the plan of each host")
    form.add_argument("--why", metavar="KEY", help="where a value comes from, such as 'workers'")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the plan of a fleet file as tables, as JSON, or of one value in words."""
    planned = fleet.plan(fleet.load(chosen.file))
    if chosen.host and chosen.host not in planned.hosts:
        return _unknown("host", chosen.host, planned.hosts)
    hosts = [plan for name, plan in planned.hosts.items() if chosen.host in (None, name)]
    if chosen.json:
        print(json.dumps({plan.name: plan.to_json() for plan in hosts}, indent=2, default=str))
        return 0
    console = terminal.console()
    if chosen.why:
        return _explain(console, planned, hosts, chosen.why)
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
    said = [source for source in each.sources if source.place]
    if said:
        return f"{said[0].place} {said[0].key}"
    return f"default of {each.sources[-1].key}" if each.sources else each.reason


def _explain(console: Console, planned: FleetPlan, hosts: list[HostPlan], wanted: str) -> int:
    every = [each for plan in hosts for each in values(planned, plan)]
    # Any run of whole words names a value: `workers`, `env.API_TIMEOUT_MS`, `engines.coder`.
    found = [each for each in every if f".{wanted}." in f".{'.'.join(each.path)}."]
    if not found:
        return _unknown("value", wanted, {each.path[-1] for each in every})
    for same in alike(found):
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
