"""docs/reference/matrix.md: which releases were tested together, from proofs.json."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.data.proofs import Proof, proofs
from mirrorfleet.engines.registry import ENGINES

HEAD = """\
# Tested releases

Generated from `mirrorfleet/data/proofs.json` by `mirrorfleet schema --matrix`. Each row is a run of
tests, which all passed, with the real programs that it names; a module that failed may have been
mended and run again. *Stand-in* means that a small program took that place, or that the tests do
not need it. As soon as a row has all three releases, `mirrorfleet check` prints a note for a fleet
whose releases no row has.

| run | Claude Code | LiteLLM | engine | hosts | tests | date |
|---|---|---|---|---|---|---|
"""

SUITES = {
    "tests/lab/verify": "a fleet of five hosts, provisioned by a run",
    "tests/litellm": "a gateway with its configuration and hooks; what is behind it is a stand-in",
    "tests/roles": "the client with our settings; the gateway is a stand-in",
}
"""What the tests of a folder run."""

NEVER = (
    (
        r"vllm [\d.]+$",
        "vLLM's build for GPUs (CUDA)",
        "no GPU was available. [What of it is checked]"
        "(../how-to/releases.md#what-of-a-release-is-tested) needs none",
    ),
    (
        r"ollama ",
        "Ollama itself",
        "the lab cannot download its archives: the lab's hosts run a stand-in",
    ),
)
"""Engines that no row has, by a pattern of `engine`, and why."""


def markdown() -> str:
    """Return the page."""
    rows = sorted(proofs(), key=_order)
    if not rows:
        return HEAD.partition("| run |")[0] + "No run is recorded yet.\n" + "".join(_never(rows))
    table = "".join(_row(number, proof) for number, proof in enumerate(rows, 1))
    return HEAD + table + "".join([*_never(rows), *_modules(rows)])


def _order(proof: Proof) -> tuple[str, tuple[int, ...], tuple[int, ...], str, str]:
    """Return what rows are sorted by: suite, releases by number, system of the hosts."""
    gateway, client = (
        tuple(int(part) for part in re.findall(r"\d+", release))
        for release in (proof.gateway, proof.client)
    )
    return proof.suite, gateway, client, proof.engine, proof.system


def _row(number: int, proof: Proof) -> str:
    cells = (
        str(number),
        proof.client or "stand-in",
        proof.gateway or "stand-in",
        _engine(proof.engine),
        proof.system,
        f"{sum(proof.tests.values())} of `{proof.suite}`",
        proof.date,
    )
    return f"| {' | '.join(cells)} |\n"


def _engine(engine: str) -> str:
    name, _, version = engine.partition(" ")
    if not engine:
        return "stand-in"
    number = version.removesuffix("-cpu")
    return f"{ENGINES[name].title} {number}{' for CPUs' if number != version else ''}"


def _never(rows: list[Proof]) -> Iterator[str]:
    yield "\n## Not proved\n\n| what | why |\n|---|---|\n"
    for pattern, what, why in NEVER:
        if not any(re.match(pattern, proof.engine) for proof in rows):
            yield f"| {what} | {why} |\n"


def _modules(rows: list[Proof]) -> Iterator[str]:
    yield "\n## Tests of each run\n\nThe number of tests that passed is in parentheses.\n"
    for number, proof in enumerate(rows, 1):
        listed = ", ".join(f"{module} ({count})" for module, count in sorted(proof.tests.items()))
        yield f"\n**{number}**, {SUITES[proof.suite]}: {listed}.\n"
