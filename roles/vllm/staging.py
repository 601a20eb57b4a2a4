"""Staging of weights on a host: the scripts before and after their files arrive, from any source.

Files arrive in a staging directory beside the final one. It has links to the intact files of the
final directory, and is renamed once every file has been verified.
"""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.roles.vllm.render import verify_weights
from mirrorfleet.runtime.shell import positional, shell

FILES = Path(__file__).parent / "files"


def begin(place: str) -> str:
    """Return a script that opens the staging directory for weights in ``place``."""
    return shell(FILES / "open_staging.sh", place=place)


def accept(place: str, mode: str) -> str:
    """Return a script that verifies the staged weights and moves them to ``place``.

    ``mode`` of check_weights.py: "accept" reads all files, "check" only those not verified before.
    """
    verify = positional(*verify_weights(mode, f"{place}.part"))
    return verify + shell(FILES / "accept_weights.sh", place=place)
