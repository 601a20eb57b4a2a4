"""Read-only deploys: they read all hosts in parallel, print one report, and change nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import gevent
from gevent import GreenletExit
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError

from mirrorfleet.runtime import run
from mirrorfleet.runtime.intermittent import is_offline, leave_out, note, offline
from mirrorfleet.runtime.observe import NoAnswer
from mirrorfleet.runtime.rollout import keep_order

Answer = TypeVar("Answer")


def run_once(report: Callable[[State], bool]) -> None:
    """Run ``report`` once for all hosts, and end the program: with 1 if it returns ``True``.

    pyinfra runs a deploy for all hosts in parallel; the first call does the work for all.
    """
    this, state = run.current(), run.state()
    with this.lock:
        if this.is_reported:
            raise GreenletExit  # a second sys.exit would show a traceback
        this.is_reported = True
        keep_order(state)
        # pyinfra itself would ask whether to go on without operations.
        sys.exit(1 if report(state) else 0)


def read_all(
    state: State, read: Callable[[Host], Answer]
) -> tuple[Mapping[str, Answer], Mapping[str, str]]:
    """Read all hosts of a run in parallel. Return answers and the reasons of failures, by host.

    Hosts that are `offline` have neither.
    ``read`` raises ``DeployError`` if a host cannot be read, ``ValueError`` if its answer is
    invalid.
    """

    def attempt(host: Host) -> tuple[Answer | None, str]:
        try:
            return read(host), ""
        except NoAnswer as error:
            if run.plan_of(host).intermittent:
                note(host, str(error))
            return None, str(error)
        except DeployError as error:
            return None, str(error)
        except ValueError as error:
            return None, f"the host's answer is invalid: {error}"

    jobs = {host.name: state.fact_pool.spawn(attempt, host) for host in run.active(state)}
    gevent.joinall(list(jobs.values()), raise_error=True)
    results = {name: job.value for name, job in jobs.items()}
    leave_out(state, [host for host in run.active(state) if is_offline(host)])
    away = offline(state)
    failures = {name: why for name, (_, why) in results.items() if why and name not in away}
    failures |= unreachable(state)
    return {name: answer for name, (answer, reason) in results.items() if not reason}, failures


def unreachable(state: State) -> Mapping[str, str]:
    """Return the hosts of a run to which there is no connection, each with this reason."""
    return {
        host.name: "the host is unreachable"
        for host in state.inventory
        if state.is_host_in_limit(host)
        and host not in state.activated_hosts
        and not is_offline(host)
    }


def write(path: str, text: str) -> None:
    """Write a report to a file, or to standard output if ``path`` is "-"."""
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
