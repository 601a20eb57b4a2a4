"""What inventories/lab.yml refers to: the keys of the lab and the weights of its model.

    python -m tests.lab.inputs

Keys are made once and kept; the weights are written anew, which takes under a second and gives
the same bytes unless their recipe has changed.
"""

import os
import secrets
import sys

from . import paths, tiny_model

KEYS = ("engine", "master", "developers")


def main() -> int:
    """Write whatever is missing into the git-ignored `.lab/`, for this user's eyes only."""
    os.umask(0o077)
    directory = paths.ACCESS / "secrets"
    directory.mkdir(parents=True, exist_ok=True)
    for name in KEYS:
        path = directory / name
        if not path.exists():
            path.write_text(f"sk-{secrets.token_hex(24)}\n")
    tiny_model.write(paths.ACCESS / "weights" / "tiny")
    return 0


if __name__ == "__main__":
    sys.exit(main())
