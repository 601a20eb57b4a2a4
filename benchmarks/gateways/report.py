"""The report of raw figures: python -m benchmarks.gateways.report (from gateway.json)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gateways.contestants import VARIANTS

RESULTS = Path(__file__).parents[1] / "results"
BASE, PLAIN = "quick start", "mirrorfleet"

HEADS = ("requests/s", f"x {BASE}", "p50 ms", "p95 ms", "CPU ms", "memory MB")
FIRST = ("first token p50 ms", "p95 ms")


def main(raw: Path = RESULTS / "gateway.json") -> int:
    """Print the tables; write them to the folder of the raw figures."""
    result = json.loads(raw.read_text("utf-8"))
    text = "\n".join(_document(result)) + "\n"
    print(text)
    raw.with_suffix(".md").write_text(text, "utf-8")
    return 0


def _document(result: dict[str, Any]) -> Iterator[str]:
    yield "# Gateways for Claude Code"
    yield ""
    yield (
        f"{result['date']}, one machine for load, gateway and upstream: {result['cores']} cores, "
        f"{result['memory_gib']} GiB; LiteLLM {result['litellm']}. Medians of {result['rounds']} "
        f"rounds of {result['seconds']:g} s each, also of their ratios (x {BASE}). CPU is the "
        "time of the gateway's processes per request; shared memory counts once. Raw figures: "
        "gateway.json."
    )
    for streamed, title in ((False, "Whole answers"), (True, "Streamed answers")):
        cells = [cell for cell in result["cells"] if cell["streamed"] == streamed]
        if cells:
            yield from ("", f"## {title} of /v1/messages", "")
            yield from _table(cells, HEADS[:4] + (FIRST if streamed else ()) + HEADS[4:])


def _table(cells: list[dict[str, Any]], heads: tuple[str, ...]) -> Iterator[str]:
    yield f"| connections | | {' | '.join(heads)} |"
    yield f"|--:|---|{'--:|' * len(heads)}"
    for cell in cells:
        base, plain = (
            [
                other
                for other in cells
                if (other["contestant"], other["connections"]) == (name, cell["connections"])
            ]
            for name in (BASE, PLAIN)
        )
        row = [f"{cell['connections']}", cell["contestant"], *_entries(cell, base, plain)]
        yield f"| {' | '.join(row)} |"


def _cpu(cell: dict[str, Any], plain: list[dict[str, Any]]) -> str:
    """Return the CPU time; for a variant also its ratio to Mirrorfleet's own gateway, by round."""
    if not cell["cpu"]:
        return ""
    text = f"{median(cell['cpu']):.1f}"
    if cell["contestant"] not in VARIANTS or not plain:
        return text
    pairs = zip(cell["cpu"], plain[0]["cpu"], strict=False)
    return f"{text} (x {median(own / other for own, other in pairs):.2f})"


def _entries(
    cell: dict[str, Any], base: list[dict[str, Any]], plain: list[dict[str, Any]]
) -> Iterator[str]:
    if not cell["rate"]:
        yield f"no right answer in {cell['wrong']}"
        return
    rate = median(cell["rate"])
    yield f"{rate:.0f}" + (f" ({cell['wrong']} wrong)" if cell["wrong"] else "")
    # By round: load on the machine affects both.
    rounds = zip(cell["rate"], base[0]["rate"], strict=False) if base else ()
    ratios = [rate / reference for rate, reference in rounds]
    yield f"{median(ratios):.2f}" if ratios else ""
    times = ("p50", "p95", *(("first_p50", "first_p95") if cell["streamed"] else ()))
    yield from (f"{median(cell[name]):.1f}" for name in times)
    yield _cpu(cell, plain)
    yield f"{max(cell['memory']) / 1e6:.0f}" if cell["memory"] else ""


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
