"""Deploys that only ask: every host at the same time, told once for all, no host changed."""

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
from mirrorfleet.runtime.rollout import keep_order

Answer = TypeVar("Answer")


def for_all(find_fault: Callable[[State], bool]) -> None:
    """Do the job once for a run, and end the program: with 1 where it finds fault.

    pyinfra runs a deploy for all hosts in parallel; the first call does the work for all.
    """
    this, state = run.current(), run.state()
    with this.lock:
        if this.is_reported:
            raise GreenletExit  # of two that end the program, the second shows a traceback
        this.is_reported = True
        keep_order(state)
        # Not left to pyinfra: it would ask whether to go on with no operations at all.
        sys.exit(1 if find_fault(state) else 0)


def answers(
    state: State, ask: Callable[[Host], Answer]
) -> tuple[Mapping[str, Answer], Mapping[str, str]]:
    """Ask all hosts of a run at a time. Return what each answered, and why others did not.

    ``ask`` raises ``DeployError`` where a host cannot be asked, ``ValueError`` where its answer
    cannot be read.
    """

    def asked(each: Host) -> tuple[Answer | None, str]:
        try:
            return ask(each), ""
        except DeployError as error:
            return None, str(error)
        except ValueError as error:
            return None, f"the host gave an answer that cannot be read: {error}"

    jobs = {
        each.name: state.fact_pool.spawn(asked, each) for each in state.inventory.get_active_hosts()
    }
    gevent.joinall(list(jobs.values()), raise_error=True)
    told = {name: job.value for name, job in jobs.items()}
    mute = {name: why for name, (_, why) in told.items() if why}
    mute |= {
        each.name: "the host could not be reached"
        for each in state.inventory
        if state.is_host_in_limit(each) and each not in state.activated_hosts
    }
    return {name: answer for name, (answer, why) in told.items() if not why}, mute


def write(path: str, text: str) -> None:
    """Write a report to a file, or where ``path`` is "-" to standard output."""
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")
