"""Removal of directory trees with root filesystems."""

import shutil
import subprocess
from pathlib import Path


def remove(tree: Path) -> None:
    """Remove a directory with everything in it, if it exists.

    Unmount what is mounted in it first: otherwise the files of the mounted directory would be
    removed.
    """
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [Path(line.split()[4].replace("\\040", " ")) for line in lines]
    for mount in reversed(mounts):
        if tree.resolve() in mount.parents:
            subprocess.run(["umount", "--lazy", str(mount)], check=True)
    if tree.exists():
        shutil.rmtree(tree)
