"""Staging of weights on a host: the scripts before and after their files arrive, from any source.

Files arrive in a staging directory beside the final one. It has links to the intact files of the
final directory, and is renamed once every file has been verified.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mirrorfleet.roles.vllm.render import verify_weights
from mirrorfleet.runtime.shell import positional, shell

FILES = Path(__file__).parent / "files"


def begin(place: str) -> str:
    """Return a script that opens the staging directory for weights in ``place``."""
    return shell(FILES / "open_staging.sh", place=place)


def accept(places: Iterable[str], mode: str) -> str:
    """Return a script that verifies the staged weights and moves them to their ``places``.

    ``mode`` of check_weights.py: "accept" reads all files, "check" only those not verified before.
    The text of that program stands in the script once: an argument has at most 128 KiB.
    """
    *verify, _ = verify_weights(mode, "")
    return positional(*verify) + shell(FILES / "accept_weights.sh", places=" ".join(places))
