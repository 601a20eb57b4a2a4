"""The console for tables: as wide as the terminal, or without a limit if there is none."""

from __future__ import annotations

import sys

from rich.console import Console

WIDEST = 1000
"""Columns of a table that is written to a file or another program, so that nothing is cut."""


def console() -> Console:
    """Return the console on standard output."""
    return Console(width=None if sys.stdout.isatty() else WIDEST, highlight=False)
