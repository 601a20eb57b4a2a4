"""A host's disk: the base image below, what the host changed above it."""

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
    """Where the host's disk lies, whether or not it exists."""
    return paths.HOSTS / host.name


def exists(host: Host) -> bool:
    """Whether the host has a disk, and the image below it is still there."""
    return (directory(host) / "base").is_dir()


def in_use() -> set[Path]:
    """The images that disks stand on."""
    return {link.readlink() for link in paths.HOSTS.glob("*/base")}


def clone(host: Host, base: Path) -> None:
    """Give the host a new disk on the base image. It gets its final name when it is whole."""
    final = directory(host)
    draft = final.with_name(f"{host.name}.new")
    if final.exists():
        log(f"{host.name}: the image below its disk is gone from the cache; it starts anew")
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
    """Write what may have changed since the host last ran: who may log in, DNS, the host table."""
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
    """The host's public key."""
    return (directory(host) / f"upper{_HOST_KEY}.pub").read_text()


def remove_all() -> None:
    """Remove all disks."""
    removal.remove(paths.HOSTS)
    with suppress(OSError):  # not there, or a volume that somebody mounted for us
        paths.HOSTS.parent.rmdir()


def _enter(disk: Path) -> list[str]:
    """The command that runs its arguments in a disk that no host is running from. The mount is
    seen by that command alone and ends with it."""
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
