"""Pure: what the ledgers of all gateways have, added up by the columns of a report."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mirrorfleet.config.price import CACHE_READ, OUTPUT
from mirrorfleet.jobs.usage.read_ledger import COLUMNS, STEPS, SUMS

BY = (*COLUMNS, "gateway")
"""What a report can be grouped by."""

DOLLAR = 1_000_000_000

LARGEST = 256 * 1024**2
"""Bytes of a gateway's sums: two million rows."""


@dataclass(frozen=True)
class Sums:
    """Sums of turns. ``cost`` is in billionths of a dollar, of ``priced`` turns."""

    turns: int = 0
    failed: int = 0
    cut: int = 0
    estimated: int = 0
    fallback: int = 0
    mended: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cost: int = 0
    priced: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, each) + getattr(other, each) for each in SUMS))

    @property
    def prompt(self) -> int:
        """Return the tokens of all prompts, those of the prompt cache included."""
        return self.input + self.cache_read + self.cache_write

    @property
    def tokens(self) -> int:
        return self.prompt + self.output

    @property
    def cached(self) -> float | None:
        """Return the share of the prompts that came from the prompt cache; ``None`` without one."""
        return self.cache_read / self.prompt if self.prompt else None

    @property
    def dollars(self) -> float | None:
        return self.cost / DOLLAR if self.priced else None

    @property
    def weighted(self) -> int:
        """Return the tokens that ``price.tokens_per_hour`` counts."""
        plain = self.input + self.cache_write
        return round(plain + CACHE_READ * self.cache_read + OUTPUT * self.output)


class Entry(NamedTuple):
    """Sums of one day, person, group, model, deployment and gateway; "" where not asked for."""

    keys: Mapping[str, str]
    sums: Sums


class Times(NamedTuple):
    """The number of answers with a time in a bucket; ``kind`` is latency or first."""

    kind: str
    day: str
    model: str
    bucket: int
    number: int


class Used(NamedTuple):
    """Sums of the turns since ``start``, in seconds since 1970, of a budget's current period.

    ``cost`` is in billionths of a dollar.
    """

    start: int
    person: str
    group: str
    model: str
    input: int
    cache_read: int
    cache_write: int
    output: int
    cost: int


@dataclass(frozen=True)
class Ledger:
    """What one or all gateways reported."""

    entries: tuple[Entry, ...] = ()
    times: tuple[Times, ...] = ()
    used: tuple[Used, ...] = ()

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            self.entries + other.entries, self.times + other.times, self.used + other.used
        )


def parse(lines: Iterable[str], gateway: str, columns: Sequence[str]) -> Ledger:
    """Return what a gateway printed. Raises ``ValueError`` for anything else."""
    found = [line.split("\t") for line in lines if line.startswith(("usage\t", "failed\t"))]
    if not found:
        return Ledger()  # the gateway was never installed
    if found[-1][0] != "usage":
        raise ValueError(f"the ledger cannot be read: {found[-1][1]}")
    try:
        content = json.loads(_unpacked(found[-1][1]))
        count = len(columns)
        entries = tuple(
            Entry(
                {**dict(zip(columns, map(_name, row[:count]), strict=True)), "gateway": gateway},
                Sums(*map(int, row[count:])),
            )
            for row in content["sums"]
        )
        times = tuple(
            Times(str(kind), str(day), _name(model), int(at), int(number))
            for kind, day, model, at, number in content["times"]
        )
        used = tuple(
            Used(int(start), _name(person), _name(group), _name(model), *map(int, numbers))
            for start, person, group, model, *numbers in content["used"]
        )
    except (zlib.error, KeyError, TypeError) as error:
        raise ValueError(f"the ledger is not readable: {error}") from None
    return Ledger(entries, times, used)


def _unpacked(text: str) -> bytes:
    """Return what a gateway packed. Raises ``ValueError`` above ``LARGEST``."""
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(base64.b64decode(text, validate=True), LARGEST)
    if unpacker.unconsumed_tail:
        raise ValueError(f"the ledger's sums have more than {LARGEST} bytes")
    return content


def _name(value: Any) -> str:
    """Return a name that a terminal can print: a gateway's user can write anything to its file."""
    return "".join(each if each.isprintable() else "?" for each in str(value)[:200])


def columns(text: str) -> tuple[str, ...]:
    """Return the columns that ``--by`` names. Raises ``ValueError`` for another one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in BY:
            raise ValueError(f"'{name}' is no column of a report: choose of {', '.join(BY)}")
    return tuple(dict.fromkeys(names))


def grouped(entries: Iterable[Entry], by: Sequence[str]) -> dict[tuple[str, ...], Sums]:
    """Return the sums by the given columns, sorted by them."""
    found: dict[tuple[str, ...], Sums] = {}
    for entry in entries:
        key = tuple(entry.keys.get(column, "") for column in by)
        found[key] = found.get(key, Sums()) + entry.sums
    return dict(sorted(found.items()))


def total(entries: Iterable[Entry]) -> Sums:
    return grouped(entries, ()).get((), Sums())


def percentile(times: Iterable[Times], part: float) -> int | None:
    """Return the time in milliseconds that ``part`` of the answers stay below; ``None`` of none."""
    counts: dict[int, int] = {}
    for each in times:
        counts[each.bucket] = counts.get(each.bucket, 0) + each.number
    rest = part * sum(counts.values())
    for at, count in sorted(counts.items()):
        rest -= count
        if rest <= 0:
            return round(2 ** (at / STEPS))
    return None


def chosen(times: Iterable[Times], kind: str, **keys: str) -> list[Times]:
    """Return the times of a kind, of a model or a day."""
    return [
        each
        for each in times
        if each.kind == kind and all(getattr(each, name) == value for name, value in keys.items())
    ]


def plain(key: Mapping[str, str], sums: Sums) -> dict[str, Any]:
    """Return a row of a report for JSON and CSV."""
    counts = {name: getattr(sums, name) for name in SUMS if name not in ("cost", "priced")}
    cached = None if sums.cached is None else round(sums.cached, 4)
    dollars = None if sums.dollars is None else round(sums.dollars, 6)
    return {
        **key,
        **counts,
        "cached": cached,
        "weighted": sums.weighted,
        "dollars": dollars,
        "priced": sums.priced,
    }
