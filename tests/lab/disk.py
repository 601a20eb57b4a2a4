"""A host's disk: an overlay of the base image and the host's changes."""

import uuid
from contextlib import suppress
from pathlib import Path

from . import keys, machine_settings, paths, removal
from .files import File, place
from .hosts import GATEWAY, Host, etc_hosts
from .terminal import log

_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

_ENTER = """
mount -t overlay overlay "$0/root" -o "lowerdir=$0/base,upperdir=$0/upper,workdir=$0/work"
exec chroot "$0/root" "$@"
"""


def directory(host: Host) -> Path:
    """Return the directory of the host's disk, which may not exist."""
    return paths.HOSTS / host.name


def exists(host: Host) -> bool:
    """Return whether the host has a disk, and its base image still exists."""
    return (directory(host) / "base").is_dir()


def release(host: Host) -> str:
    """Return the release of Debian on the host's disk, which exists."""
    return (directory(host) / "base").readlink().name.split("-")[1]


def in_use() -> set[Path]:
    """Return the base images that disks use."""
    return {link.readlink() for link in paths.HOSTS.glob("*/base")}


def clone(host: Host, base: Path) -> None:
    """Create a disk for the host on the base image, and rename it to its final name at the end."""
    final = directory(host)
    draft = final.with_name(f"{host.name}.new")
    if final.exists():
        log(f"{host.name}: its base image is missing from the cache, so it gets a new disk")
    for leftover in (draft, final):
        removal.remove(leftover)
    for part in ("upper", "work", "root"):
        (draft / part).mkdir(parents=True)
    (draft / "base").symlink_to(base)
    private, public = keys.host_key(host)
    files = [
        File(_HOST_KEY, private, 0o600),
        File(f"{_HOST_KEY}.pub", public),
        File("/etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444),
        File("/etc/hostname", f"{host.name}\n"),
        File("/etc/systemd/network/10-lab.network", _network(host)),
    ]
    place(_enter(draft), host.users, files)
    draft.rename(final)


def refresh(host: Host, authorized: str) -> None:
    """Write the files that can change between boots: authorized keys, DNS servers, /etc/hosts."""
    files = [
        File("/etc/hosts", etc_hosts()),
        File(
            "/etc/resolv.conf", "".join(f"nameserver {a}\n" for a in machine_settings.resolvers())
        ),
    ]
    for user in host.users:
        path = f"/home/{user}/.ssh/authorized_keys"
        files.append(File(path, authorized, 0o600, owner=user))
    place(_enter(directory(host)), host.users, files)


def public_key(host: Host) -> str:
    """Return the host's public key."""
    return (directory(host) / f"upper{_HOST_KEY}.pub").read_text()


def remove_all() -> None:
    """Remove all disks."""
    removal.remove(paths.HOSTS)
    with suppress(OSError):  # missing, or a mounted volume
        paths.HOSTS.parent.rmdir()


def _enter(disk: Path) -> list[str]:
    """Return a command that runs its arguments in the disk of a stopped host. The mount is private
    to that command and ends with it."""
    return ["unshare", "--mount", "sh", "-euc", _ENTER, str(disk)]


def _network(host: Host) -> str:
    return f"""\
[Match]
Name=host0

[Network]
Address={host.address}/{GATEWAY.network.prefixlen}
Gateway={GATEWAY.ip}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
