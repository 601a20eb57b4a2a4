"""Ask Claude Code as the developers do, and say which layer fails: for deploys/verify.py.

Nothing is changed on any host. Who is asked, what is told and how it is judged is pure; here are
the connections, one exec on each host, all hosts at a time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError
from pyinfra.context import ctx_state

from roles.host.observe import look
from roles.host.rollout import keep_order
from roles.verify import table
from roles.verify.judge import rows
from roles.verify.layers import layers
from roles.verify.questions import Told, asked, patience, told
from roles.verify.seats import Seat, seats

OPTIONS = {"who": "one, or all", "models": "names with commas", "report": "a file, or -"}
"""What can be said with pyinfra's --data."""

_lock = Lock()
_done: WeakKeyDictionary[State, bool] = WeakKeyDictionary()


def prove() -> None:
    """Ask, print what came of it, and end the program: with 1 where anything fails.

    pyinfra runs a deploy for all hosts in parallel; the first call does the work for all.
    """
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    with _lock:
        if run not in _done:
            _done[run] = _prove(run)
    # Not left to pyinfra: it would ask whether to go on with no operations at all.
    sys.exit(1 if _done[run] else 0)


def _prove(run: State) -> bool:
    """Ask all hosts, tell what came of it, and return whether anything fails."""
    keep_order(run)
    hosts = {each.name: each for each in run.inventory.get_active_hosts()}
    plans = {name: each.data.plan for name, each in hosts.items()}
    option = _options(next(iter(hosts.values())))
    chosen = seats(plans, everyone=option["who"] == "all", models=option["models"])
    logger.info("--> Asking %s", ", ".join(seat.name for seat in chosen) or "no developer")
    jobs = {
        name: run.fact_pool.spawn(_ask, each, [seat for seat in chosen if seat.host == name])
        for name, each in hosts.items()
    }
    gevent.joinall(list(jobs.values()), raise_error=True)
    answers = {name: job.value for name, job in jobs.items()}
    mute = {name: why for name, why in answers.items() if isinstance(why, str)}
    mute |= {
        each.name: "could not be reached"
        for each in run.inventory
        if run.is_host_in_limit(each) and each not in run.activated_hosts
    }
    heard = {name: each for name, each in answers.items() if isinstance(each, Told)}
    found = [layer for name, each in heard.items() for layer in layers(plans[name], each.seen)]
    lines = [row for seat in chosen for row in rows(seat, heard.get(seat.host), found)]
    if option["report"]:
        text = json.dumps(table.report(found, lines, mute), indent=1) + "\n"
        _write(option["report"], text)
    if option["report"] != "-":
        table.show(found, lines, mute)
    return bool(mute) or any(each.faults for each in found) or any(row.faults for row in lines)


def _ask(each: Host, chosen: Sequence[Seat]) -> Told | str:
    """Ask a host and its developers; return why, where it cannot be asked."""
    try:
        return told(look(each, asked(each.data.plan, chosen), patience(chosen)))
    except DeployError as error:
        return str(error)
    except ValueError as error:
        return f"gave an answer that cannot be read: {error}"


def _options(each: Host) -> dict[str, Any]:
    who, models, report = (each.data.get(name) for name in OPTIONS)
    if who not in (None, "one", "all"):
        raise DeployError(f"--data who={who}: write {OPTIONS['who']}")
    return {"who": who, "models": str(models).split(",") if models else (), "report": report}


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
