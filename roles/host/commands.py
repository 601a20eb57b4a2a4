"""What an operation yields."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand

Commands = Generator[PyinfraCommand, None, None]
"""The commands of an operation, each sent when the one before it has succeeded; none: no change."""
