"""The program of bin/lock: requirements.lock, and the lock files of tests and benchmarks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mirrorfleet.advisory_folders import advisories
from mirrorfleet.checks.advisories import pinned, reasons
from mirrorfleet.locking.resolve import resolve
from mirrorfleet.locking.target import LockError

ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    """Write one lock file; return 0 or 1. On failure the former file stays."""
    parser = argparse.ArgumentParser(prog="bin/lock", description="Write a lock file.")
    parser.add_argument(
        "source",
        nargs="?",
        default="pyproject.toml",
        metavar="FILE.in",
        help="default: requirements.lock, from pyproject.toml",
    )
    source = ROOT / parser.parse_args(arguments).source
    if not source.exists():
        parser.error(f"{source.relative_to(ROOT)} does not exist")
    try:
        lock(source)
    except LockError as error:
        print(f"lock: {error}.", file=sys.stderr)
        return 1
    return 0


def lock(source: Path) -> None:
    """Resolve ``source`` into the .txt file beside it. Raises ``LockError``."""
    relative = source.relative_to(ROOT)
    target, options = source.with_suffix(".txt"), []
    if source.name == "pyproject.toml":
        target, options = ROOT / "requirements.lock", ["--universal", "--group", "dev"]
    text = resolve(ROOT, [source], f"bin/lock {relative}", options)
    for package, version, hits in pinned(advisories(ROOT / "inventories"), text):
        if bad := [hit for hit in hits if hit.refused]:
            raise LockError(
                f"{relative} needs {package.name} {version}, which must not be installed: "
                f"{reasons(bad)}"
            )
    target.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
