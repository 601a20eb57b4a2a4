"""Pure: the command that accepts a new generation of an engine on NVIDIA's GPUs. See accept.sh."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from mirrorfleet.runtime.text import environment_file

FILES = Path(__file__).parent / "files"
ACCEPT = re.sub(r"^#.*\n", "", (FILES / "accept.sh").read_text("utf-8"), flags=re.MULTILINE)
TOOLCHAIN = (FILES / "toolchain.py").read_text("utf-8")


def command(
    *,
    name: str,
    user: str,
    directory: str,
    environment: str,
    weights: str,
    whole: str,
    variables: Mapping[str, str],
    capability: str = "",
) -> str:
    """Return a shell command, to be run as root in the directory of the new generation.

    ``whole`` is the program that looks at weights, ``variables`` the environment of the engine
    without its key. ``capability`` stands in for the driver's answer where there is no GPU.
    """
    given = {
        "name": name,
        "user": user,
        "directory": directory,
        "environment": environment,
        "weights": weights,
        "whole": whole,
        "toolchain": TOOLCHAIN,
        "variables": environment_file(dict(variables)),
        "capability": capability,
    }
    return shlex.join(
        ["env", *(f"{key}={value}" for key, value in given.items()), "sh", "-c", ACCEPT]
    )
