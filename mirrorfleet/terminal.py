"""Where tables are printed: as wide as the terminal, or whole where there is none."""

from __future__ import annotations

import sys

from rich.console import Console

WIDEST = 1000
"""Columns of a table that goes into a file or another program: nothing is cut there."""


def console() -> Console:
    """Return the console on standard output."""
    return Console(width=None if sys.stdout.isatty() else WIDEST, highlight=False)
