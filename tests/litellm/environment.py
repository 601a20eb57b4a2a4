"""The Python environment of a gateway, built on this machine from the same lock file, and kept.

    python -m tests.litellm.environment    build it if it is missing, and print its directory

The release is the newest with a lock file, or MIRRORFLEET_LITELLM.
"""

from __future__ import annotations

import os
from pathlib import Path

from packaging.version import Version

from tools.litellm_environment import ROOT, build

LOCKS = ROOT / "roles" / "litellm" / "locks"
NEWEST = max((path.stem for path in LOCKS.glob("*.txt")), key=Version)
LOCK = LOCKS / f"{os.environ.get('MIRRORFLEET_LITELLM', NEWEST)}.txt"


def environment() -> Path:
    """Return the directory of the environment; each lock file has its own."""
    return build(ROOT, LOCK)


if __name__ == "__main__":
    print(environment())
