"""The environment of a gateway host, built on this machine from the same lock file, and kept.

    python -m tests.litellm.environment          build it, or say where it stands
    python -m tests.litellm.environment known    the names that its release knows: known.py

It is that of the newest release that has a lock file, or of the one that MIRRORFLEET_LITELLM names.
It is built as roles/host/python.py builds one on a host: by uv, hashes checked, bytecode compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "roles" / "litellm" / "locks"
NEWEST = max((path.stem for path in LOCKS.glob("*.txt")), key=Version)
LOCK = LOCKS / f"{os.environ.get('MIRRORFLEET_LITELLM', NEWEST)}.txt"


def environment() -> Path:
    """Return the environment's directory; another lock file is another directory."""
    directory = ROOT / ".venv" / f"litellm-{sha256(LOCK.read_bytes()).hexdigest()[:8]}"
    complete = directory / ".complete"
    if not complete.exists():
        print("test: LiteLLM from its lock file, once (a minute or two)", flush=True)
        uv = str(Path(sys.executable).parent / "uv")
        _run(uv, "venv", "--quiet", "--clear", f"--python={sys.executable}", str(directory))
        _run(
            *(uv, "pip", "install", "--quiet", f"--python={directory}/bin/python"),
            *("--require-hashes", "--no-deps", "--compile-bytecode", f"--requirement={LOCK}"),
        )
        complete.touch()
    return directory


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["known"]:
        _run(f"{environment()}/bin/python", str(Path(__file__).with_name("known.py")))
    else:
        print(environment())
