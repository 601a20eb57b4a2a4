"""Run programs of hosts, and shellcheck."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess


def run(
    command: Sequence[str], stdin_text: str = "", env: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run a program with ``stdin_text`` as its standard input.

    Raises ``subprocess.TimeoutExpired`` after 60 seconds.
    """
    return subprocess.run(
        command, input=stdin_text, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def shellcheck(directory: Path, texts: Iterable[str]) -> str:
    """Return the warnings of shellcheck about complete scripts."""
    folder = Path(tempfile.mkdtemp(dir=directory))
    for number, text in enumerate(texts):
        (folder / f"{number}.sh").write_text(text)
    program = str(Path(sys.executable).with_name("shellcheck"))
    command = [program, "--norc", "--shell=sh", "--severity=warning", "--format=gcc"]
    return run([*command, *map(str, folder.glob("*.sh"))]).stdout
