"""Read the ledgers of all gateways of a run, and write the report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pyinfra.api import Host, State

from mirrorfleet.jobs.usage import budgets, page, table
from mirrorfleet.jobs.usage.period import Period, period
from mirrorfleet.jobs.usage.read_ledger import COLUMNS
from mirrorfleet.jobs.usage.sums import Ledger, columns, parse
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.paths import LEDGER, USER
from mirrorfleet.runtime.observe import read_host
from mirrorfleet.runtime.readonly import read_all, run_once, write
from mirrorfleet.runtime.shell import shell

HERE = Path(__file__).parent

TIMEOUT = 150
"""Seconds for the ledger of one gateway."""

PAGE = ("day", "person", "group", "model")
"""The columns that the HTML page needs."""

DEFAULT_SINCE, DEFAULT_BY = "30d", "group,model"


def report() -> None:
    """Read the ledgers of all gateways, write the report, and end the program.

    The exit code is 1 if a gateway was not read.
    """
    run_once(_report)


def _report(state: State) -> bool:
    data = next(iter(state.inventory)).data
    try:
        days = period(data.get("since") or DEFAULT_SINCE, data.get("until") or "")
        by = columns(data.get("by") or DEFAULT_BY)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    kind, path = data.get("format") or "table", data.get("report") or "-"
    needed = PAGE if kind == "html" else [column for column in by if column in COLUMNS] or PAGE
    now = time.time()  # one for all gateways: a period may end meanwhile
    found, unread = read_all(state, partial(_read, days=days, needed=needed, now=now))
    ledger = sum(found.values(), Ledger())
    gateway = next(filter(None, map(_recording, state.inventory)), None)
    shares = budgets.shares(ledger.used, gateway, now) if gateway else []
    match kind:
        case "json":
            content = table.report(ledger, by, days, unread)
            content["budgets"] = [budgets.plain(share) for share in shares]
            write(path, json.dumps(content, indent=1) + "\n")
        case "csv":
            write(path, table.text(ledger, by))
        case "html":
            write(path, page.html(ledger, days, unread, shares))
        case _:
            table.show(ledger, by, days, unread, shares)
    return bool(unread)


def _recording(host: Host) -> LitellmPlan | None:
    """Return the gateway of a host, if it records turns."""
    gateway: LitellmPlan | None = host.data.plan.gateway
    return gateway if gateway and gateway.usage else None


def _read(host: Host, days: Period, needed: Sequence[str], now: float) -> Ledger:
    """Read the ledger of a host in one exec; empty for a host that is no gateway."""
    gateway = _recording(host)
    if gateway is None:
        return Ledger()
    script = shell(
        HERE / "read_ledger.sh",
        user=USER,
        program=(HERE / "read_ledger.py").read_text("utf-8"),
        ledger=LEDGER,
        since=str(days.since),
        until=str(days.until),
        columns=",".join(needed),
        starts=",".join(map(str, budgets.starts(gateway.budgets, now))),
    )
    return parse(read_host(host, script, TIMEOUT), host.name, needed)
