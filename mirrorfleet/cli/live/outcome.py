"""The result of a run for each host, as a sentence and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyinfra.api import State

from mirrorfleet.config.problems import Problem
from mirrorfleet.runtime import run
from mirrorfleet.runtime.change_summary import some
from mirrorfleet.runtime.intermittent import is_offline, why_offline

HostResult = Literal[
    "changed",
    "unchanged",
    "failed",
    "skipped",
    "returned",
    "unreachable",
    "offline",
    "pending",
    "stopped",
]

FAILED = ("failed", "skipped", "returned", "unreachable")


@dataclass(frozen=True)
class Outcome:
    """The result of a run for one host.

    ``changes`` are sentences. ``causes`` say why it failed, or what was skipped. ``pending``: it
    would change, and the run did not go that far. ``returned``: its ring failed, so that it went
    back. ``offline``: an intermittent machine without a reply. ``stopped``: problems ended the run
    before it knew what would change.
    """

    host: str
    state: HostResult
    changes: tuple[str, ...]
    causes: tuple[str, ...]


def outcomes(
    state: State, causes: Mapping[str, Sequence[str]], *, applied: bool
) -> tuple[Outcome, ...]:
    """Return the results of all hosts of a run, in the order of the inventory.

    ``applied``: the changes were made, not only found.
    """
    this = run.current()
    return tuple(
        Outcome(
            host.name,
            _state(state, host, applied=applied),
            tuple(change.what for _, change in this.changes.get(host.name, ())),
            tuple(causes.get(host.name, ())) or _problems(host),
        )
        for host in state.inventory
        if state.is_host_in_limit(host)
    )


def _state(state: State, host: Any, *, applied: bool) -> HostResult:
    this = run.current()
    if is_offline(host):
        return "offline"
    if host not in state.activated_hosts:
        return "unreachable"
    skipped = this.skipped.get(host.name)
    if skipped and skipped.problems:
        return "returned" if skipped.went_back else "skipped"
    if host in state.failed_hosts or any(each.place.host == host.name for each in _found()):
        return "failed"
    if host.name not in this.changes:
        return "stopped"
    if not this.changes[host.name]:
        return "unchanged"
    return "changed" if applied else "pending"


def _found() -> Sequence[Problem]:
    """Return the problems of the preflight."""
    return run.current().problems or ()


def _problems(host: Any) -> tuple[str, ...]:
    """Return why a host is offline, or its problems: what was skipped, then the preflight's."""
    if why := why_offline(host):
        return (why,)
    skipped = run.current().skipped.get(host.name)
    found = [*(skipped.problems if skipped else ()), *_found()]
    return tuple(dict.fromkeys(each.text for each in found if each.place.host in ("", host.name)))


def report(found: Sequence[Outcome]) -> dict[str, Any]:
    """Return the results for `--json`."""
    return {
        "hosts": {
            outcome.host: {
                "state": outcome.state,
                "changes": outcome.changes,
                "causes": outcome.causes,
            }
            for outcome in found
        },
        "totals": {
            name: sum(outcome.state == name for outcome in found)
            for name in dict.fromkeys(outcome.state for outcome in found)
        },
    }


def lines(found: Sequence[Outcome], *, causes: bool = True) -> Iterator[str]:
    """Yield the last lines of a run: the numbers, and each cause once, with its hosts.

    Without ``causes``, only the numbers, for a run that has just printed them.
    """
    yield f"{_numbers(found)}."
    if not causes:
        return
    hosts_of: dict[str, list[str]] = {}
    for outcome in found:
        if outcome.state in FAILED:
            cause = outcome.causes[0] if outcome.causes else f"see the lines of {outcome.host}"
            hosts_of.setdefault(cause, []).append(outcome.host)
    for cause, hosts in hosts_of.items():
        yield f"  {some(hosts)}: {cause}"


def failed(found: Sequence[Outcome]) -> tuple[str, ...]:
    """Return the hosts that failed, for another run on them; none if all did.

    None for a fleet with rings either: a ring needs machines of the rings before it.
    """
    plans = (host.data.get("plan") for host in run.hosts())
    if any(plan and plan.rollout for plan in plans):
        return ()
    hosts = tuple(outcome.host for outcome in found if outcome.state in FAILED)
    return hosts if len(hosts) < len(found) else ()


def _numbers(found: Sequence[Outcome]) -> str:
    words = {
        "changed": "changed",
        "pending": "would change",
        "unchanged": "up to date",
        "skipped": "skipped in part",
        "returned": "went back",
        "failed": "failed",
        "unreachable": "unreachable",
        "offline": "offline, left for a later run",
        "stopped": "stopped before any change",
    }
    counts = {
        word: sum(outcome.state == state for outcome in found) for state, word in words.items()
    }
    parts = [f"{number} {word}" for word, number in counts.items() if number]
    return f"{len(found)} host{'s' if len(found) != 1 else ''}: {', '.join(parts)}"
