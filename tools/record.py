"""Add what tests recorded to mirrorfleet/data/proofs.json, for docs/reference/matrix.md.

    python -m tools.record [FILE...]

Without a FILE, it takes those that `bin/test` wrote into .venv/records/. A run with a failed test
proves nothing and is left out, and so is one without modules of its former run. The run of a
suite replaces its former one with the same releases on the same system; other rows stay.
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
    """Update proofs.json; return 1 if there is no record, or if a run was left out."""
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
    incomplete = False
    for proof in proved(modules):
        if missing := _missing(known.get(_key(proof)), proof):
            incomplete = True
            print(
                f"record: {proof.suite} ran without {', '.join(missing)}, which its row with the "
                "same releases has, so its run is left out: run the whole suite.",
                file=sys.stderr,
            )
        else:
            known[_key(proof)] = proof
    rows = [_plain(known[key]) for key in sorted(known)]
    FILE.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    print("proofs.json: written. Next: mirrorfleet schema --matrix >docs/reference/matrix.md")
    return 1 if failed or incomplete else 0


def proved(modules: Modules) -> Iterator[Proof]:
    """Yield a proof for each suite and combination of real parts without a failed test."""
    runs: dict[tuple[Any, ...], Modules] = defaultdict(dict)
    for name, module in modules.items():
        path = PurePosixPath(name)
        if module["parts"]:
            key = (str(path.parent), *sorted(module["parts"].items()))
            runs[key][path.stem] = module
    failed = [
        (str(PurePosixPath(name).parent), module["parts"].items())
        for name, module in modules.items()
        if module["failed"]
    ]
    for (suite, *parts), found in runs.items():
        tests = {stem: module["passed"] for stem, module in found.items() if module["passed"]}
        # A module that failed before its real parts ran has fewer parts, or none.
        if tests and not any(where == suite and has <= {*parts} for where, has in failed):
            yield Proof(
                suite, max(module["date"] for module in found.values()), tests, **dict(parts)
            )


def _missing(former: Proof | None, proof: Proof) -> list[str]:
    """Return the modules of a former run that the new one did not run, and that still exist."""
    gone = sorted(former.tests.keys() - proof.tests) if former else []
    return [stem for stem in gone if (ROOT / proof.suite / f"{stem}.py").exists()]


def _key(proof: Proof) -> tuple[str, ...]:
    return (proof.suite, proof.system, proof.client, proof.gateway, proof.engine)


def _plain(proof: Proof) -> dict[str, Any]:
    """Return the keys of a proof that have a value."""
    return {key: value for key, value in asdict(proof).items() if value}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
