"""The report of raw figures: a table of ratios and a picture.

python -m benchmarks.report                (from results/mirror.json)
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import picture

RESULTS = Path(__file__).parent / "results"
MIRRORFLEET, FLOOR = "mirrorfleet", "floor"
COLUMNS = (FLOOR, "floor, observing", MIRRORFLEET, "pyinfra", "ansible + mitogen", "ansible")
SCENARIOS = ("no change", "one changed line", "first convergence")

Figures = dict[tuple[str, str, int, int], dict[str, Any]]
"""Cells by contestant, scenario, hosts and delay."""


def main(raw: Path = RESULTS / "mirror.json") -> int:
    """Print the table; write it and the picture to the folder of the raw figures."""
    result = json.loads(raw.read_text("utf-8"))
    cells: Figures = {
        (cell["contestant"], cell["scenario"], cell["hosts"], cell["delay"]): cell
        for cell in result["cells"]
        if cell["seconds"]
    }
    text = "\n".join(_document(result, cells)) + "\n"
    print(text)
    raw.with_suffix(".md").write_text(text, "utf-8")
    raw.with_suffix(".svg").write_text(_picture(cells), "utf-8")
    return 0


def median(cell: dict[str, Any]) -> float:
    """Return the median of a cell's times in seconds."""
    return float(statistics.median(cell["seconds"]))


def _document(result: dict[str, Any], cells: Figures) -> Iterator[str]:
    yield "# Mirrorfleet's mirror.py and its peers"
    yield ""
    yield (
        f"{result['date']}, one machine for controller and hosts: {result['cores']} cores, "
        f"{result['memory_gib']} GiB; pyinfra {result['pyinfra']}, paramiko {result['paramiko']}, "
        f"ansible-core {result['ansible-core']}. Medians in seconds of five runs or more, or of n; "
        "in brackets the ratio to Mirrorfleet, and of Mirrorfleet to the floor. Raw figures: "
        "mirror.json."
    )
    yield ""
    yield from _table(cells)
    yield ""
    hosts, _ = _typical(cells)
    yield f"Connections / execs of one run per host, as logged by sshd on {hosts} hosts."
    yield ""
    yield from _counts(cells)


def _table(cells: Figures) -> Iterator[str]:
    yield "| hosts | delay | scenario | " + " | ".join(COLUMNS) + " |"
    yield "|--:|--:|---|" + "--:|" * len(COLUMNS)
    courses = sorted({(delay, hosts) for _, _, hosts, delay in cells})
    for delay, hosts in courses:
        for scenario in SCENARIOS:
            row = {name: cells.get((name, scenario, hosts, delay)) for name in COLUMNS}
            if not row[MIRRORFLEET]:
                continue
            # The floor only connects: its figures are the same in every scenario.
            for name in COLUMNS[:2]:
                row[name] = row[name] or cells.get((name, SCENARIOS[0], hosts, delay))
            entries = [_entry(row, name) for name in COLUMNS]
            yield f"| {hosts} | {delay} ms | {scenario} | " + " | ".join(entries) + " |"


def _entry(row: dict[str, dict[str, Any] | None], name: str) -> str:
    cell, base = row[name], row[FLOOR if name == MIRRORFLEET else MIRRORFLEET]
    if not cell:
        return ""
    if not base or name in COLUMNS[:2]:
        return f"{median(cell):.2f}"
    return f"{median(cell):.2f} ({median(cell) / median(base):.1f}x){_few(cell)}"


def _few(cell: dict[str, Any]) -> str:
    """Return the number of runs of a median if it is less than five, else ""."""
    runs = len(cell["seconds"])
    return f" n={runs}" if runs < 5 else ""


def _counts(cells: Figures) -> Iterator[str]:
    yield "| scenario | " + " | ".join(COLUMNS) + " |"
    yield "|---|" + "--:|" * len(COLUMNS)
    hosts, delay = _typical(cells)
    for scenario in SCENARIOS:
        row = [cells.get((name, scenario, hosts, delay)) for name in COLUMNS]
        entries = [f"{cell['connections']:g} / {cell['execs']:g}" if cell else "" for cell in row]
        yield f"| {scenario} | " + " | ".join(entries) + " |"


def _picture(cells: Figures) -> str:
    hosts, delay = _typical(cells)
    groups = {}
    for scenario in SCENARIOS:
        row = ((name, cells.get((name, scenario, hosts, delay))) for name in COLUMNS)
        groups[scenario] = [
            (name, median(cell)) for name, cell in row if cell and name != COLUMNS[1]
        ]
    return picture.draw(
        f"{hosts} host{'s' * (hosts != 1)}, seconds (log scale)", groups, MIRRORFLEET
    )


def _typical(cells: Figures) -> tuple[int, int]:
    """Return the number of hosts nearest to ten, and its smallest delay."""
    hosts = min((hosts for _, _, hosts, _ in cells), key=lambda number: abs(number - 10))
    return hosts, min(delay for _, _, number, delay in cells if number == hosts)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
