"""Randomly mutated fleet files and key files: rejected, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.roles.fleets import ROOT


@pytest.mark.slow
def test_no_mutation_causes_a_traceback_or_exhausts_memory() -> None:
    """MIRRORFLEET_FUZZ is the number of files; `python -m tests.fuzz COUNT SEED` repeats a run."""
    count = os.environ.get("MIRRORFLEET_FUZZ", "300")
    command = [sys.executable, "-m", "tests.fuzz", count, "14"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for outcome in ("accepted", "refused", "a key", "no key"):
        assert f"'{outcome}'" in done.stdout, "no mutation had this outcome"
