"""The root filesystem that all hosts start from: a minimal Debian, built once and kept.

It is what a provider of machines hands out: systemd, sshd, an operator with sudo, and no more. What
production hosts need beyond that, Python included, is for the deploys to install.
"""

import hashlib
import json
import subprocess
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from . import machine_settings, paths, removal
from .files import File, place
from .hosts import OPERATOR
from .terminal import CannotRun, LabError, Step, step

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "libpam-systemd",
    "netbase",
    "openssh-server",
    "procps",
    "sudo",
    "systemd",
)

_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

# Programs that bring certificates of their own learn by these where the system's are.
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")

_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-networkd-wait-online.service",
    "systemd-timesyncd.service",
)

# RSA keys cost over a second at first boot, and keys made here would be those of every host.
# VERBOSE writes every command and transfer into the journal, where tests count them.
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
LogLevel VERBOSE
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
"""

_FINISH = """
update-ca-certificates >/dev/null
rm -f /etc/ssh/ssh_host_*
systemctl enable --quiet systemd-networkd.service
"""


@dataclass(frozen=True)
class Recipe:
    """All that an image is made of; the same recipe is the same image."""

    packages: tuple[str, ...]
    sources: tuple[str, ...]
    apt_options: dict[str, str]
    certificates: dict[str, str]
    files: tuple[File, ...]
    finish: str = _FINISH

    @property
    def digest(self) -> str:
        """A short name for this recipe."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]


def recipe() -> Recipe:
    """The recipe for this machine."""
    certificates = machine_settings.certificates()
    return Recipe(
        packages=_PACKAGES,
        sources=machine_settings.apt_sources(),
        apt_options=machine_settings.apt_options(),
        certificates=certificates,
        files=_files(certificates),
    )


def base(in_use: Collection[Path]) -> Path:
    """The root directory of the base image, built if this recipe has no image yet.

    Images of other recipes are thrown away, except those that hosts stand on, `in_use`.
    """
    wanted = recipe()
    root = paths.cache() / f"base-{wanted.digest}"
    if root.is_dir():
        return root
    paths.cache().mkdir(parents=True, exist_ok=True)
    paths.cache().chmod(0o700)
    sweep()
    for old in paths.cache().glob("base-*"):
        if old not in in_use:
            removal.remove(old)
    with step("base image") as current:
        _build(wanted, root, current)
    return root


def sweep() -> None:
    """Throw away what interrupted builds left."""
    for unfinished in paths.cache().glob("building-*"):
        removal.remove(unfinished)


def _build(wanted: Recipe, root: Path, current: Step) -> None:
    """Build beside, then rename: an image under its final name is a whole one."""
    workshop = paths.cache() / f"building-{wanted.digest}"
    (workshop / "tmp").mkdir(parents=True)
    draft = workshop / "root"
    _mmdebstrap(wanted, draft, workshop / "tmp", current)
    enter = ["chroot", str(draft)]
    current.progress("configuring")
    place(enter, [OPERATOR], wanted.files)
    finish = [*enter, "/bin/sh", "-euc", wanted.finish]
    done = subprocess.run(finish, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"cannot configure the base image: {done.stderr.strip()}")
    draft.rename(root)
    removal.remove(workshop)


def _mmdebstrap(wanted: Recipe, draft: Path, scratch: Path, current: Step) -> None:
    options = [f'--aptopt={name} "{value}"' for name, value in wanted.apt_options.items()]
    # In a mount namespace, because mmdebstrap leaves its mounts behind when it is killed.
    command = [
        "unshare",
        "--mount",
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
    ]
    command += [f"--include={','.join(wanted.packages)}", f"--keyring={KEYRING}", *options]
    command += [machine_settings.SUITE, str(draft), *wanted.sources]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(scratch)}
    errors: list[str] = []
    with subprocess.Popen(
        command,
        env=environment | machine_settings.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr or ():
            kind, _, text = line.strip().partition(": ")
            if kind == "I" and text.endswith("...") and "signal" not in text:
                current.progress(text.removesuffix("..."))
            elif kind in ("E", "Err"):
                errors.append(text)
    if process.returncode:
        raise CannotRun(_why(wanted, errors))


def _why(wanted: Recipe, errors: list[str]) -> str:
    archives = " or ".join(dict.fromkeys(line.split()[1] for line in wanted.sources))
    return (
        f"mmdebstrap cannot build the base image: {errors[0] if errors else 'no reason given'}\n"
        f"Check that this machine reaches {archives or 'the Debian archive'}, for example with "
        "`apt-get update`, then run the lab again."
    )


def _files(certificates: dict[str, str]) -> tuple[File, ...]:
    """The files of every host alike."""
    environment = machine_settings.environment()
    pip, npm = machine_settings.pip_options(), machine_settings.npm_options()
    if certificates:
        environment |= dict.fromkeys(_BUNDLE_VARIABLES, _BUNDLE)
        pip["cert"] = npm["cafile"] = _BUNDLE
    sudoers = f"{OPERATOR} ALL=(ALL:ALL) NOPASSWD: ALL\n"
    if environment:
        sudoers += f'Defaults env_keep += "{" ".join(environment)}"\n'
    found = [
        File("/etc/default/locale", "LANG=C.UTF-8\n"),
        File("/etc/ssh/sshd_config.d/lab.conf", _SSHD),
        File("/etc/sudoers.d/lab", sudoers, 0o440),
        *(File(f"/etc/systemd/system/{unit}", link="/dev/null") for unit in _MASKED),
        *(
            File(f"/usr/local/share/ca-certificates/{name}", text)
            for name, text in certificates.items()
        ),
    ]
    if environment:
        found.append(File("/etc/environment", _lines(environment, "=")))
    if pip:
        found.append(File("/etc/pip.conf", "[global]\n" + _lines(pip, " = ")))
    if npm:
        found.append(File("/etc/npmrc", _lines(npm, "=")))
    return tuple(found)


def _lines(options: dict[str, str], between: str) -> str:
    return "".join(f"{name}{between}{value}\n" for name, value in options.items())
