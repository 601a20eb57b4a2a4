"""The result of a run for each host, as a sentence and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pyinfra.api import State

from mirrorfleet.runtime import run
from mirrorfleet.runtime.change_summary import some

State_ = Literal["changed", "unchanged", "failed", "skipped", "unreachable", "pending"]

FAILED = ("failed", "skipped", "unreachable")


@dataclass(frozen=True)
class Outcome:
    """The result of a run for one host.

    ``changes`` are sentences. ``causes`` say why it failed, or what was skipped. ``pending``: it
    would change, and the run did not go that far.
    """

    host: str
    state: State_
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
            tuple(causes.get(host.name, ())),
        )
        for host in state.inventory
        if state.is_host_in_limit(host)
    )


def _state(state: State, host: Any, *, applied: bool) -> State_:
    this = run.current()
    if host not in state.activated_hosts:
        return "unreachable"
    if this.skipped.get(host.name) and this.skipped[host.name].problems:
        return "skipped"
    if host in state.failed_hosts:
        return "failed"
    if not this.changes.get(host.name):
        return "unchanged"
    return "changed" if applied else "pending"


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


def lines(found: Sequence[Outcome]) -> Iterator[str]:
    """Yield the last lines of a run: the numbers, and each cause once, with its hosts."""
    yield f"{_numbers(found)}."
    hosts_of: dict[str, list[str]] = {}
    for outcome in found:
        if outcome.state in FAILED:
            cause = outcome.causes[0] if outcome.causes else f"see the lines of {outcome.host}"
            hosts_of.setdefault(cause, []).append(outcome.host)
    for cause, hosts in hosts_of.items():
        yield f"  {some(hosts)}: {cause}"


def limit_to_failed(found: Sequence[Outcome]) -> list[str]:
    """Return the options for another run on the hosts that failed; none if all did."""
    failed = [outcome.host for outcome in found if outcome.state in FAILED]
    return ["--limit", ",".join(failed)] if 0 < len(failed) < len(found) else []


def _numbers(found: Sequence[Outcome]) -> str:
    words = {
        "changed": "changed",
        "pending": "would change",
        "unchanged": "up to date",
        "skipped": "skipped in part",
        "failed": "failed",
        "unreachable": "unreachable",
    }
    counts = {
        word: sum(outcome.state == state for outcome in found) for state, word in words.items()
    }
    parts = [f"{number} {word}" for word, number in counts.items() if number]
    return f"{len(found)} host{'s' if len(found) != 1 else ''}: {', '.join(parts)}"
