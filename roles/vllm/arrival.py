"""What is done on a host before weights arrive and when all of them have, wherever they come from.

They arrive in a directory beside their place, in which all that is right already is linked; its
name is changed when every file in it has been proved.
"""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.roles.vllm.render import whole
from mirrorfleet.runtime.shell import positional, shell

FILES = Path(__file__).parent / "files"


def begin(place: str) -> str:
    """Return a script that opens the directory in which weights for ``place`` arrive."""
    return shell(FILES / "open_staging.sh", place=place)


def accept(place: str, mode: str) -> str:
    """Return a script that proves the weights that have arrived and puts them in their place.

    ``mode`` is check_weights.py's: "accept" reads all of them, "check" what nobody has read before.
    """
    proof = positional(*whole(mode, f"{place}.part"))
    return proof + shell(FILES / "accept_weights.sh", place=place)
