"""Misuse of pyinfra's own command, which pyinfra lets pass or answers with a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--limit", "dev-11", "inventories/prod.py", "deploys/status.py"],
            2,
            "error: no host matches --limit dev-11. Did you mean 'dev-1'?",
        ),
        (
            ["inventories/prod.py", "deploys/mirror.py"],
            2,
            "error: pyinfra asks before it changes hosts, which needs a terminal: add -y, or --dry",
        ),
        (["inventories/prod.py", "debug-inventory"], 0, ""),
    ],
)
def test_misuse_ends_before_any_connection(
    arguments: list[str], code: int, message: str, project: Path
) -> None:
    (project / "deploys").symlink_to(ROOT / "deploys")
    (project / "inventories/prod.known_hosts").touch()
    done = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), *arguments],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert errors == ([message] if message else [])
    assert "Traceback" not in done.stderr
