"""Measurement: contestants run in turn, round by round, so that load on the machine affects all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.gateways import processes
from benchmarks.gateways.answers import WORDS, text
from benchmarks.gateways.contestants import Running
from benchmarks.machine import REPOSITORY
from tests.litellm.environment import environment

WARM_UP = 1.0
PROMPT = 16 * 1024
"""Bytes of system prompt in a request. Claude Code's own is longer."""


@dataclass
class Cell:
    """One contestant with a number of connections: a value per round, times in milliseconds."""

    contestant: str
    streamed: bool
    connections: int
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p95: list[float] = field(default_factory=list)
    first_p50: list[float] = field(default_factory=list)
    first_p95: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    wrong: int = 0


def measure(
    contestants: Sequence[Running],
    connections: Sequence[int],
    streamed: Sequence[bool],
    rounds: int,
    seconds: float,
    log: Callable[[str], None],
) -> list[Cell]:
    """Load each contestant alone, the others stopped; return all figures."""
    cells = [
        Cell(contestant.name, stream, number)
        for stream in streamed
        for number in connections
        for contestant in contestants
    ]
    running = {contestant.name: contestant for contestant in contestants}
    for contestant in contestants:
        _signal(contestant, signal.SIGSTOP)
    for turn in range(rounds):
        for cell in cells:
            with _resumed(running[cell.contestant]):
                _round(running[cell.contestant], cell, seconds)
            log(f"round {turn + 1} of {rounds}: {_line(cell)}")
    return cells


def verify(contestant: Running) -> None:
    """Raise ``RuntimeError`` unless a contestant's answers are those of the upstream."""
    for streamed in (False, True):
        question = _question(contestant, streamed)
        headers = {**question["headers"], "Content-Type": "application/json"}
        body = json.dumps(question["body"]).encode()
        request = urllib.request.Request(contestant.url, body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = response.read().decode()
        if text(answer).split() != list(map(str.strip, WORDS)):
            raise RuntimeError(f"{contestant.name} answers {answer[-500:]}")


def _round(contestant: Running, cell: Cell, seconds: float) -> None:
    _load(contestant, cell, WARM_UP)
    before = processes.cpu(contestant.session)
    done = _load(contestant, cell, seconds)
    used = processes.cpu(contestant.session) - before
    took, first = done["took"], done["first"]
    if done["wrong"]:
        cell.wrong += len(done["wrong"])
        print(f"benchmark: {cell.contestant}: {done['wrong'][0]}", flush=True)
    if not took:
        return
    cell.rate.append(len(took) / done["seconds"])
    cell.p50.append(_percentile(took, 50))
    cell.p95.append(_percentile(took, 95))
    if cell.streamed:
        cell.first_p50.append(_percentile(first, 50))
        cell.first_p95.append(_percentile(first, 95))
    if contestant.session:
        cell.cpu.append(used * 1000 / len(took))
        cell.memory.append(processes.memory(contestant.session))


def _load(contestant: Running, cell: Cell, seconds: float) -> dict[str, Any]:
    question = _question(contestant, cell.streamed)
    question |= {"connections": cell.connections, "seconds": seconds}
    done = subprocess.run(
        [environment() / "bin/python", "-m", "benchmarks.gateways.load"],
        cwd=REPOSITORY,
        input=json.dumps(question),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _question(contestant: Running, streamed: bool) -> dict[str, Any]:
    """Return a request, and the text that ends its answer."""
    content = [{"type": "text", "text": "Count."}]
    return {
        "url": contestant.url,
        "headers": dict(contestant.headers),
        "whole": "message_stop" if streamed else WORDS[-1].strip(),
        "body": {
            "model": contestant.model,
            "max_tokens": 1024,
            "stream": streamed,
            "system": [{"type": "text", "text": "word " * (PROMPT // 5)}],
            "messages": [{"role": "user", "content": content}],
        },
    }


def _percentile(values: list[float], share: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


@contextmanager
def _resumed(contestant: Running) -> Iterator[None]:
    """Let a contestant run during the block. The others are stopped: they would disturb it."""
    _signal(contestant, signal.SIGCONT)
    try:
        yield
    finally:
        _signal(contestant, signal.SIGSTOP)


def _signal(contestant: Running, number: signal.Signals) -> None:
    if contestant.session:
        os.killpg(contestant.session, number)


def _line(cell: Cell) -> str:
    kind = "streamed" if cell.streamed else "whole"
    rate = f"{cell.rate[-1]:.0f}/s" if cell.rate else "no answer"
    return f"{cell.connections} connections, {kind}, {cell.contestant}: {rate}"
