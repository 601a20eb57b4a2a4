"""The environment of a gateway host, built on this machine from the same lock file, and kept.

    python -m tests.litellm.environment      build it, or say where it stands

It is built as roles/host/python.py builds one on a host: by uv, hashes checked, bytecode compiled.
"""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "roles" / "litellm" / "locks" / "1.106.2.txt"


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
    print(environment())
