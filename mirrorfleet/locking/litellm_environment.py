"""LiteLLM from a lock file, built on this machine as on a gateway host, and the names it knows.

uv builds the environment as in mirrorfleet/runtime/python.py: with checked hashes and compiled
bytecode.
"""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from mirrorfleet.locking.resolve import uv

PROGRAM = Path(__file__).with_name("litellm_known.py")


def build(folder: Path, lock: Path) -> Path:
    """Return the directory of a lock file's environment in ``folder``; build it if it is missing.

    Raises ``CalledProcessError`` if the build fails.
    """
    directory = folder / f"litellm-{sha256(lock.read_bytes()).hexdigest()[:8]}"
    complete = directory / ".complete"
    if not complete.exists():
        print(
            f"Installing LiteLLM {lock.stem} from its lock file (once, 1 to 2 minutes)", flush=True
        )
        _run(uv(), "venv", "--quiet", "--clear", f"--python={sys.executable}", str(directory))
        _run(
            *(uv(), "pip", "install", "--quiet", f"--python={directory}/bin/python"),
            *("--require-hashes", "--no-deps", "--compile-bytecode", f"--requirement={lock}"),
        )
        complete.touch()
    return directory


def known(folder: Path, lock: Path) -> str:
    """Return the names that the release of a lock file knows, from its environment in ``folder``.

    Raises ``CalledProcessError`` if the build or the program fails.
    """
    environment = build(folder, lock)
    command = [str(environment / "bin/python"), str(PROGRAM)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
