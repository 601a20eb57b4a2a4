"""LiteLLM from a lock file, built on this machine as on a gateway host, and its known names.

    .venv/bin/python -m tools.litellm_environment 1.109.1

writes mirrorfleet/data/litellm_known/1.109.1.yml, as `bin/lock litellm 1.109.1` does. uv builds the
environment as in mirrorfleet/runtime/python.py: with checked hashes and compiled bytecode.
"""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).parent / "uv"
PROGRAM = Path(__file__).with_name("litellm_known.py")


def build(root: Path, lock: Path, uv: Path = UV) -> Path:
    """Return the directory of a lock file's environment; build it if it does not exist.

    Raises ``CalledProcessError`` if the build fails.
    """
    directory = root / ".venv" / f"litellm-{sha256(lock.read_bytes()).hexdigest()[:8]}"
    complete = directory / ".complete"
    if not complete.exists():
        print(
            f"Installing LiteLLM {lock.stem} from its lock file (once, 1 to 2 minutes)", flush=True
        )
        _run(str(uv), "venv", "--quiet", "--clear", f"--python={sys.executable}", str(directory))
        _run(
            *(str(uv), "pip", "install", "--quiet", f"--python={directory}/bin/python"),
            *("--require-hashes", "--no-deps", "--compile-bytecode", f"--requirement={lock}"),
        )
        complete.touch()
    return directory


def write_known(root: Path, release: str, uv: Path = UV) -> Path:
    """Write the names that a release knows, for the check of fleet files; return the file.

    The release's lock file is below ``root`` as well. Raises ``CalledProcessError`` if the build or
    the program fails.
    """
    environment = build(root, root / "roles/litellm/locks" / f"{release}.txt", uv)
    command = [str(environment / "bin/python"), str(PROGRAM)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    target = root / "mirrorfleet/data/litellm_known" / f"{release}.yml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(output)
    return target


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    print(*[write_known(ROOT, release) for release in sys.argv[1:]], sep="\n")
