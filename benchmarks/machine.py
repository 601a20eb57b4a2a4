"""This machine: its description, and commands as root."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
VENV = REPOSITORY / ".venv" / "bin"


def as_root(*command: str) -> list[str]:
    """Return the command to run as root, with sudo where needed."""
    return list(command) if os.geteuid() == 0 else ["sudo", *command]


def description() -> dict[str, object]:
    """Return the hardware and the versions that the figures depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        **{name: version(name) for name in ("pyinfra", "paramiko", "ansible-core")},
    }
