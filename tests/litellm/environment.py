"""The environment of a gateway host, built on this machine from the same lock file, and kept.

    python -m tests.litellm.environment          build it, or say where it stands

It is that of the newest release that has a lock file, or of the one that MIRRORFLEET_LITELLM names.
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
    """Return the environment's directory; another lock file is another directory."""
    return build(ROOT, LOCK)


if __name__ == "__main__":
    print(environment())
