"""Which releases the tests of Mirrorfleet ran together: proofs.json, by `tools/record.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "proofs.json"


@dataclass(frozen=True)
class Proof:
    """Tests that passed with these releases. A part that was a stand-in, or not there, is "".

    ``suite``: the folder of the tests. ``tests``: how many passed, by module. ``date``: the day, as
    in 2026-11-30 (UTC). ``engine``: name and release, as in "vllm 0.32.0-cpu". ``system``: that of
    the hosts.
    """

    suite: str
    date: str
    tests: Mapping[str, int]
    client: str = ""
    gateway: str = ""
    engine: str = ""
    system: str = ""


@cache
def proofs() -> tuple[Proof, ...]:
    """Return what is proved."""
    return tuple(Proof(**row) for row in json.loads(FILE.read_text("utf-8")))
