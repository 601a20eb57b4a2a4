"""The Python environment of a gateway, built on this machine from the same lock file, and kept.

    python -m tests.litellm.environment    build it if it is missing, and print its directory

The release is the one that Mirrorfleet proposes, or MIRRORFLEET_LITELLM.
"""

from __future__ import annotations

import os
from pathlib import Path

from mirrorfleet.data import proposed
from mirrorfleet.locking.litellm_environment import build

ROOT = Path(__file__).parents[2]
RELEASE = os.environ.get("MIRRORFLEET_LITELLM") or proposed("litellm")
LOCK = ROOT / "roles/litellm/locks" / f"{RELEASE}.txt"


def environment() -> Path:
    """Return the directory of the environment; each lock file has its own."""
    return build(ROOT / ".venv", LOCK)


if __name__ == "__main__":
    print(environment())
