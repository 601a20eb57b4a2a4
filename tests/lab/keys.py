"""SSH access to the hosts: an identity, the hosts' keys, and an ssh configuration with both.

The files are in the repository's git-ignored `.lab/`. Their owner is the user who ran the lab, so
that `ssh -F .lab/ssh_config gw-1` and deploys work without sudo.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from . import paths
from .hosts import BY_NAME, OPERATOR, Host

IDENTITY = paths.ACCESS / "id_ed25519"
KNOWN_HOSTS = paths.ACCESS / "known_hosts"
SSH_CONFIG = paths.ACCESS / "ssh_config"


def generate(path: Path, comment: str) -> None:
    """Generate an ed25519 key pair without a passphrase at `path` and `path`.pub."""
    options = ["-q", "-t", "ed25519", "-N", "", "-C", comment]
    subprocess.run(["ssh-keygen", *options, "-f", str(path)], check=True)


def host_key(host: Host) -> tuple[str, str]:
    """Generate a host key; return the private and the public text."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "key")
        generate(path, host.name)
        return path.read_text(), path.with_suffix(".pub").read_text()


def identity() -> str:
    """Return the public key that every host accepts; generate the pair if it does not exist."""
    paths.ACCESS.mkdir(mode=0o700, exist_ok=True)
    if not IDENTITY.exists():
        generate(IDENTITY, "mirrorfleet-lab")
    _chown_to_invoker(paths.ACCESS, IDENTITY, IDENTITY.with_suffix(".pub"))
    return IDENTITY.with_suffix(".pub").read_text()


def write_access(hosts: dict[Host, str]) -> None:
    """Write known_hosts and ssh_config; `hosts` maps each host to its public key."""
    entries = (_known(host, public) for host, public in hosts.items())
    KNOWN_HOSTS.write_text("".join(entries))
    SSH_CONFIG.write_text(_config(BY_NAME.values()))
    _chown_to_invoker(KNOWN_HOSTS, SSH_CONFIG)


def ssh(host: str, command: Iterable[str], *options: str) -> list[str]:
    """Return the arguments that run `command` on a host, given as name or user@name."""
    return ["ssh", "-F", str(SSH_CONFIG), *options, host, *command]


def _known(host: Host, public: str) -> str:
    kind, key, *_ = public.split()
    return f"{host.name},{host.address} {kind} {key}\n"


def _config(hosts: Iterable[Host]) -> str:
    text = "".join(f"Host {h.name}\n    HostName {h.address}\n" for h in hosts)
    names = " ".join(f"{h.name} {h.address}" for h in BY_NAME.values())
    return f"""{text}
Host {names}
    User {OPERATOR}
    IdentityFile "{IDENTITY}"
    IdentitiesOnly yes
    UserKnownHostsFile "{KNOWN_HOSTS}"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    PreferredAuthentications publickey
"""


def _chown_to_invoker(*files: Path) -> None:
    """Make the user who called sudo the owner of files."""
    for file in files:
        os.chown(file, *paths.invoker())
