"""LiteLLM from a lock file, built on this machine as on a gateway host, and what it knows by name.

    .venv/bin/python -m tools.litellm_environment 1.109.1

writes mirrorfleet/data/litellm_known/1.109.1.yml, as `bin/lock litellm 1.109.1` does. The
environment is built as mirrorfleet/runtime/python.py does it: by uv, hashes checked, bytecode
compiled.
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
    """Return the directory of a lock file's environment; another lock file is another directory.

    Raises ``CalledProcessError`` when it cannot be built.
    """
    directory = root / ".venv" / f"litellm-{sha256(lock.read_bytes()).hexdigest()[:8]}"
    complete = directory / ".complete"
    if not complete.exists():
        print(f"LiteLLM {lock.stem} from its lock file, once (a minute or two)", flush=True)
        _run(str(uv), "venv", "--quiet", "--clear", f"--python={sys.executable}", str(directory))
        _run(
            *(str(uv), "pip", "install", "--quiet", f"--python={directory}/bin/python"),
            *("--require-hashes", "--no-deps", "--compile-bytecode", f"--requirement={lock}"),
        )
        complete.touch()
    return directory


def write_known(root: Path, release: str, uv: Path = UV) -> Path:
    """Write what a release knows by name, which the check of fleet files goes by.

    Its lock file is below ``root`` as well. Raises ``CalledProcessError`` when it cannot be built,
    or does not say what it knows.
    """
    environment = build(root, root / "roles/litellm/locks" / f"{release}.txt", uv)
    command = [str(environment / "bin/python"), str(PROGRAM)]
    made = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    target = root / "mirrorfleet/data/litellm_known" / f"{release}.yml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(made)
    return target


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    print(*[write_known(ROOT, release) for release in sys.argv[1:]], sep="\n")
