"""Requirements of the lab on this machine, each with its fix."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import paths
from .image import KEYRING
from .terminal import CannotRun

# Program or file -> Debian package.
_NEEDED = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "mount": "mount",
    "awk": "mawk",
    str(KEYRING): "debian-archive-keyring",
}

# An overlay mount, as every host needs it.
_TRIAL = """
mkdir lower upper work root
mount -t overlay overlay root -o lowerdir=lower,upperdir=upper,workdir=work
"""


_NO_NAMESPACES = (
    "root cannot create mount namespaces on this machine (an unprivileged container?): use a "
    "virtual machine, or start the container with --privileged"
)
_NO_TIME = (
    "this machine cannot create time namespaces: they need Linux 5.6 or newer, and in a container "
    "the capability CAP_SYS_TIME"
)
_NO_OVERLAY = (
    f"cannot mount an overlay filesystem below {paths.HOSTS.parent}: put that directory on ext4 or "
    "xfs (in a container: on a volume), and load the kernel module: `modprobe overlay`"
)


def require_root() -> None:
    """Raise ``CannotRun`` unless this process is root on Linux."""
    if not sys.platform.startswith("linux"):
        raise CannotRun("the lab needs Linux: use a Debian or Ubuntu machine, or a virtual one")
    if os.geteuid() != 0:
        raise CannotRun("the lab boots hosts and needs root: run it again with sudo")


def require_programs() -> None:
    """Raise ``CannotRun`` with the packages of missing programs."""
    missing = sorted({package for need, package in _NEEDED.items() if not _found(need)})
    if missing:
        raise CannotRun(f"missing programs; install them: apt-get install {' '.join(missing)}")


def require_rights() -> None:
    """Raise ``CannotRun`` if the kernel does not allow what hosts need. Create the directory of the
    hosts' disks, because the mounts must work there."""
    paths.HOSTS.parent.mkdir(mode=0o700, exist_ok=True)  # it will hold setuid programs
    paths.HOSTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trial-", dir=paths.HOSTS) as scratch:
        _check(["unshare", "--mount", "true"], scratch, _NO_NAMESPACES)
        _check(["unshare", "--time", "--monotonic", "0", "true"], scratch, _NO_TIME)
        _check(["unshare", "--mount", "sh", "-euc", _TRIAL], scratch, _NO_OVERLAY)


def _found(need: str) -> bool:
    return Path(need).exists() if need.startswith("/") else shutil.which(need) is not None


def _check(command: list[str], directory: str, reason: str) -> None:
    done = subprocess.run(command, check=False, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        raise CannotRun(f"{reason}\n({done.stderr.strip()})")
