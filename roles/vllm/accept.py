"""Pure: the command that accepts a new generation of an engine on NVIDIA's GPUs. See accept.sh."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mirrorfleet.runtime.shell import code
from mirrorfleet.runtime.text import environment_file

FILES = Path(__file__).parent / "files"
ACCEPT = code(FILES / "accept.sh")
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
) -> tuple[str, ...]:
    """Return a command that root runs in the directory of the new generation.

    ``whole`` is the program that verifies weights, ``variables`` the environment of the engine
    without its key. ``capability`` replaces the driver's answer in tests without a GPU.
    """
    arguments = {
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
    return ("env", *(f"{key}={value}" for key, value in arguments.items()), "sh", "-c", ACCEPT)
