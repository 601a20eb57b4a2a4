"""Removing directory trees that root filesystems were in."""

import shutil
import subprocess
from pathlib import Path


def remove(tree: Path) -> None:
    """Remove a directory and all below it, if it is there.

    What is mounted below is unmounted first: removing files through a mount would remove them
    where they came from.
    """
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [Path(line.split()[4].replace("\\040", " ")) for line in lines]
    for mount in reversed(mounts):
        if tree.resolve() in mount.parents:
            subprocess.run(["umount", "--lazy", str(mount)], check=True)
    if tree.exists():
        shutil.rmtree(tree)
