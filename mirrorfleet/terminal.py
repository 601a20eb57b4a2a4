"""The console for output: as wide as the terminal or COLUMNS, or without a limit."""

from __future__ import annotations

import os
import sys

from rich.console import Console

WIDEST = 1000
"""Columns of a table that is written to a file or another program, so that nothing is cut."""


def console() -> Console:
    """Return the console on standard output."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDEST
    return Console(width=width, highlight=False)
