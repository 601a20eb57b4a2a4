"""Files that inventories/lab.yml refers to: keys, certificates, and the weights of its model.

    python -m tests.lab.inputs

Keys and certificates are generated once and kept. The weights are written on each run, in under a
second, with the same bytes unless tiny_model.py has changed.
"""

import os
import secrets
import sys

from . import certificates, paths, tiny_model

KEYS = ("engine", "master", "developers")


def main() -> int:
    """Write the files into the git-ignored `.lab/`, readable by this user only."""
    os.umask(0o077)
    directory = paths.ACCESS / "secrets"
    directory.mkdir(parents=True, exist_ok=True)
    for name in KEYS:
        path = directory / name
        if not path.exists():
            path.write_text(f"sk-{secrets.token_hex(24)}\n")
    certificates.write()
    tiny_model.write(paths.ACCESS / "weights" / "tiny")
    return 0


if __name__ == "__main__":
    sys.exit(main())
