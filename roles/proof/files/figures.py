"""Pure: the figures of a session of two turns, and what a new generation has lost of them.

A part of the canary, which runs on hosts with the standard library only: see canary.py. The figures
of a model are:

    prompt      tokens of the second turn's prompt
    first       seconds to the first token of the first turn, of which nothing is cached
    second      seconds to the first token of the second turn
    rate        share of the second prompt that the prefix cache had; None if it is not reported
    throughput  tokens per second of the second answer; None if it is too short
    replicas    engines among which the second turn may change
    fault       why there are no figures, "" if there are
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

Json = dict[str, Any]

LOSS = 0.2
"""The share of the cache's hits that a new generation may lose."""

SLOWER = 1.25
"""How many times as long as before a turn may take, or how much slower an answer may be, in words
of the report only: a busy engine is slower, too."""

NOTICED = 0.1
"""Seconds below which a slower first token is not noticed."""

CACHE, FIRST, SECOND, THROUGHPUT = "prefix cache", "first token", "second turn", "throughput"


@dataclass(frozen=True)
class Finding:
    """A figure now and before, and their ratio; ``None`` where there is none.

    ``state``: ok, warning, failed, not reported, not compared. ``note`` has the reason in words.
    """

    item: str
    state: str
    now: float | None
    before: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure now, as a share of that before."""
        return self.now / self.before if self.now is not None and self.before else None

    @property
    def words(self) -> str:
        """The figure, the one before, their ratio and the note."""
        text = _amount(self.item, self.now)
        if self.before is not None:
            text += f", before {_amount(self.item, self.before)}"
        if self.ratio is not None:
            text += f" ({self.ratio:.2f} x)"
        return f"{text}: {self.note}" if self.note else text


def compared(now: Json, before: Json | None) -> list[Finding]:
    """Compare the figures of a model with those before; ``None`` if there are none."""
    then = before if before and not before.get("fault") else {}
    return [
        _cache(now, then),
        _time(FIRST, now.get("first"), then.get("first")),
        _time(SECOND, now.get("second"), then.get("second")),
        _throughput(now.get("throughput"), then.get("throughput")),
    ]


def _cache(now: Json, then: Json) -> Finding:
    rate, former = now.get("rate"), then.get("rate")
    if rate is None:
        reason = str(now.get("reason") or "the engine has no figures of its cache")
        return Finding(CACHE, "not reported", None, former, reason)
    if not former:
        reason = "there were no hits before" if former == 0 else "no figure before"
        return Finding(CACHE, "not compared", rate, former, reason)
    lost = 1 - rate / former
    if lost <= LOSS:
        return Finding(CACHE, "ok", rate, former)
    note = f"{lost:.0%} of its hits are lost"
    if max(now.get("replicas", 1), then.get("replicas", 1)) > 1:
        return Finding(CACHE, "warning", rate, former, f"{note}, or another replica answered")
    return Finding(CACHE, "failed", rate, former, note)


def _time(item: str, now: float | None, then: float | None) -> Finding:
    if now is None or not then:
        return Finding(item, "not compared", now, then)
    is_slower = now > SLOWER * then and now - then > NOTICED
    return Finding(item, "warning" if is_slower else "ok", now, then, "slower" * is_slower)


def _throughput(now: float | None, then: float | None) -> Finding:
    if now is None or not then:
        return Finding(THROUGHPUT, "not compared", now, then)
    is_slower = now * SLOWER < then
    return Finding(THROUGHPUT, "warning" if is_slower else "ok", now, then, "slower" * is_slower)


def is_worse(found: Iterable[Finding]) -> bool:
    """Return whether something is worse than before: the session is then repeated."""
    return any(each.state in ("failed", "warning") for each in found)


def best(first: Json, second: Json) -> Json:
    """Return the better figures of two sessions: whatever disturbs one makes it worse."""
    if first.get("fault") or second.get("fault"):
        return second if first.get("fault") else first
    better = dict(second)
    for name, choose in (("rate", max), ("throughput", max), ("first", min), ("second", min)):
        values = [each[name] for each in (first, second) if each.get(name) is not None]
        better[name] = choose(values) if values else None
    return better


def lines(model: str, now: Json, found: Iterable[Finding]) -> Iterator[str]:
    """Yield the lines of a report on a model: one, and one for each part that is worse."""
    if now.get("fault"):
        yield f"{model}: canary not measured: {now['fault']}"
        return
    found = list(found)
    parts = (f"{each.item} {_amount(each.item, each.now)}" for each in found)
    yield f"{model}: canary: {', '.join(parts)}"
    for each in found:
        if each.state in ("failed", "warning"):
            yield f"{model}: {each.item} {each.state}, {each.words}"


def plain(found: Iterable[Finding]) -> list[Json]:
    """Return findings for JSON."""
    return [{**asdict(each), "ratio": each.ratio} for each in found]


def merged(recorded: Mapping[str, Json], measured: Mapping[str, Json]) -> dict[str, Json]:
    """Return the figures to keep of a generation: new ones, or recorded ones if there are none.

    An engine that others ask at the same time has no rate now: then the recorded figures stay.
    """
    found = dict(recorded)
    for model, now in measured.items():
        then = recorded.get(model) or {}
        is_known = then and not then.get("fault")
        is_missing = now.get("fault") or (now.get("rate") is None and then.get("rate") is not None)
        if not (is_known and is_missing):
            found[model] = now
    return found


def _amount(item: str, value: float | None) -> str:
    if value is None:
        return "not reported" if item == CACHE else "not measured"
    if item == CACHE:
        return f"{value:.0%}"
    return f"{value:.0f} tokens/s" if item == THROUGHPUT else f"{value:.2f} s"
