"""The course of each command that only reads hosts and prints a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mirrorfleet.cli.live import session


def read(deploy: str, file: str, limit: Sequence[str], data: Mapping[str, Any]) -> int:
    """Run a read-only deploy of deploys/, which prints its report, and return the exit code."""
    session.start()
    # After the start: these import pyinfra.
    from rich.console import Console

    from mirrorfleet.cli.live.screen import Screen

    # The report is on standard output.
    screen = Screen(Console(stderr=True, highlight=False))
    request = session.Request(Path(file), deploy, tuple(limit), data)
    with session.opened(request, screen) as state:
        return session.run(state, request, screen)
