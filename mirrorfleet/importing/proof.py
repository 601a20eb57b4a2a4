"""Check an imported fleet as `mirrorfleet check` does, and take out what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mirrorfleet import fleet
from mirrorfleet.config import Fleet
from mirrorfleet.config.document import Document
from mirrorfleet.config.problems import FleetError, Key, Place, Problem, dotted
from mirrorfleet.importing.draft import Draft, Need
from mirrorfleet.importing.fates import Entry, Fate

ROUNDS = 12
"""Most rounds of checks: one mistake can hide another."""


FLAT = ("aliases", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""Parts of the fleet file whose values have no name of their own."""


def prove(draft: Draft, path: Path) -> None:
    """Remove values that the checks refuse, and open the values of the input behind them.

    A mistake without such a value becomes a need of its own.
    """
    for _ in range(ROUNDS):
        problems = mistakes(draft.data, path)
        if not problems or not any(list(map(partial(_removed, draft), problems))):
            break
    reported = {need.key for need in draft.needs}
    for problem in mistakes(draft.data, path):
        if problem.key not in reported:
            draft.needs.append(
                Need(problem.key, None, f"{problem.mistake} {problem.remedy}".strip())
            )


def mistakes(data: dict[str, Any], path: Path) -> tuple[Problem, ...]:
    """Return the mistakes that `mirrorfleet check` would report of a fleet file at ``path``."""
    try:
        fleet.checked(_document(data, path))
    except FleetError as error:
        return tuple(problem for problem in error.problems if problem.severity == "error")
    return ()


def loaded(data: dict[str, Any], path: Path) -> Fleet | None:
    """Return the fleet of a fleet file at ``path``; ``None`` if it has mistakes."""
    try:
        return fleet.checked(_document(data, path))
    except FleetError:
        return None


def _document(data: dict[str, Any], path: Path) -> Document:
    return Document(path, data, {key: Place(str(path), 1) for key in _keys(data, ())})


def _keys(value: Any, key: Key) -> Iterator[Key]:
    yield key
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _keys(inner, (*key, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _keys(inner, (*key, at))


def _removed(draft: Draft, problem: Problem) -> bool:
    """Take out the value that a problem is about. Return whether there was one to take out."""
    key = problem.key
    if any(need.key[: len(key)] == key or key[: len(need.key)] == need.key for need in draft.needs):
        return False
    is_flat = key[:1] and key[0] in FLAT
    # Also a number or a word of the gateway, such as gateway.stream_timeout.
    is_flat = is_flat or (key[:1] == ("gateway",) and not isinstance(draft.get(*key), dict | list))
    least = 2 if is_flat else 3
    while len(key) > least and not _behind(draft, key):
        key = key[:-1]
    behind = _behind(draft, key)
    if len(key) < least or (not behind and key[:1] != ("aliases",)) or not _delete(draft.data, key):
        return False
    if key[0] == "models" and key[2:] == ("weights",):
        question = f"{problem.mistake} {problem.remedy}".strip()
        draft.need(key, {"path": "/srv/models/MODEL"}, question)
    draft.ledger.reopen(
        behind, f"refused as {dotted(problem.key)}: {problem.mistake} {problem.remedy}".strip()
    )
    return True


def _behind(draft: Draft, key: Key) -> list[Entry]:
    """Return the entries whose value is at a key or below it."""
    return [
        entry
        for entry in draft.ledger.entries()
        if entry.fate in (Fate.TAKEN, Fate.SECRET)
        and entry.target
        and entry.target[: len(key)] == key
    ]


def _delete(data: Any, key: Key) -> bool:
    """Delete a value, and the mappings that it leaves empty. Return whether it was there."""
    *above, last = key
    chain = [data]
    for part in above:
        try:
            chain.append(chain[-1][part])
        except (KeyError, IndexError, TypeError):
            return False
    inner = chain[-1]
    if isinstance(inner, dict) and last in inner:
        del inner[last]
    elif isinstance(inner, list) and isinstance(last, int) and last < len(inner):
        inner.pop(last)
    else:
        return False
    if inner in ({}, []) and len(above) > 1:
        _delete(data, tuple(above))
    return True
