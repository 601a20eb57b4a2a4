"""Add what tests recorded to mirrorfleet/data/proofs.json, for docs/reference/matrix.md.

    python -m tools.record [FILE...]

Without a FILE, it takes those that `bin/test` wrote into .venv/records/. A run with a failed test
proves nothing and is left out. The run of a suite replaces its former one with the same releases.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from mirrorfleet.data.proofs import FILE, Proof, proofs

ROOT = Path(__file__).parents[1]

Modules = dict[str, dict[str, Any]]
"""What tests/record.py writes: parts, passed, failed and date by module."""


def main(arguments: list[str]) -> int:
    """Update proofs.json; return 1 if there is no record, or if a recorded test failed."""
    files = [Path(each) for each in arguments] or sorted((ROOT / ".venv/records").glob("*.json"))
    if not files:
        print("record: there is no record: run bin/test first.", file=sys.stderr)
        return 1
    modules: Modules = {}
    for file in files:
        modules |= json.loads(file.read_text("utf-8"))
    failed = sorted(name for name, module in modules.items() if module["failed"])
    for name in failed:
        print(f"record: {name} failed, so its run is left out.", file=sys.stderr)
    known = {_key(proof): proof for proof in proofs()}
    known |= {_key(proof): proof for proof in proved(modules)}
    rows = [_plain(known[key]) for key in sorted(known)]
    FILE.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    print("proofs.json: written. Next: mirrorfleet schema --matrix >docs/reference/matrix.md")
    return 1 if failed else 0


def proved(modules: Modules) -> Iterator[Proof]:
    """Yield a proof for each suite and combination of real parts without a failed test."""
    runs: dict[tuple[Any, ...], Modules] = defaultdict(dict)
    for name, module in modules.items():
        path = PurePosixPath(name)
        if module["parts"]:
            key = (str(path.parent), *sorted(module["parts"].items()))
            runs[key][path.stem] = module
    for (suite, *parts), found in runs.items():
        tests = {stem: module["passed"] for stem, module in found.items() if module["passed"]}
        if tests and not any(module["failed"] for module in found.values()):
            yield Proof(
                suite, max(module["date"] for module in found.values()), tests, **dict(parts)
            )


def _key(proof: Proof) -> tuple[str, ...]:
    return (proof.suite, proof.system, proof.client, proof.gateway, proof.engine)


def _plain(proof: Proof) -> dict[str, Any]:
    """Return the keys of a proof that have a value."""
    return {key: value for key, value in asdict(proof).items() if value}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
