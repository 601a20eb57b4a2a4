"""The root filesystem that hosts start from: a minimal Debian of a release, built once and kept.

It has what a hosting provider installs: systemd, sshd, and an operator with sudo. The deploys
install everything else that production hosts need, Python included.
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

SUITES = {"12": "bookworm", "13": "trixie"}
"""The releases of Debian that hosts can have, by their number."""

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

# These variables point programs with their own certificates at the system's.
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")

_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-networkd-wait-online.service",
    "systemd-timesyncd.service",
)

# Generating RSA keys at first boot takes over a second, and keys in the image would be the same on
# every host. VERBOSE logs every command and transfer to the journal, where tests count them.
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
    """The inputs of an image; the same recipe gives the same image."""

    suite: str
    packages: tuple[str, ...]
    sources: tuple[str, ...]
    apt_options: dict[str, str]
    certificates: dict[str, str]
    files: tuple[File, ...]
    finish: str = _FINISH

    @property
    def digest(self) -> str:
        """Return a short digest of this recipe."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]


def recipe(release: str) -> Recipe:
    """Return the recipe for a release of Debian on this machine."""
    suite = SUITES[release]
    certificates = machine_settings.certificates()
    return Recipe(
        suite=suite,
        packages=_PACKAGES,
        sources=machine_settings.apt_sources(suite),
        apt_options=machine_settings.apt_options(),
        certificates=certificates,
        files=_files(certificates),
    )


def base(release: str, in_use: Collection[Path]) -> Path:
    """Return the root directory of a release's base image. Build the image if it does not exist.

    Remove the images of its other recipes, except those that disks use (`in_use`).
    """
    chosen = recipe(release)
    root = paths.cache() / f"base-{release}-{chosen.digest}"
    if root.is_dir():
        return root
    paths.cache().mkdir(parents=True, exist_ok=True)
    paths.cache().chmod(0o700)
    sweep()
    others = tuple(f"base-{other}-" for other in SUITES if other != release)
    for old in paths.cache().glob("base-*"):
        if old not in in_use and not old.name.startswith(others):
            removal.remove(old)
    with step(f"base image of Debian {release}") as current:
        _build(chosen, root, current)
    return root


def sweep() -> None:
    """Remove the directories of interrupted builds."""
    for unfinished in paths.cache().glob("building-*"):
        removal.remove(unfinished)


def _build(recipe: Recipe, root: Path, current: Step) -> None:
    """Build in another directory, then rename: an image with its final name is complete."""
    build = paths.cache() / f"building-{recipe.digest}"
    (build / "tmp").mkdir(parents=True)
    draft = build / "root"
    _mmdebstrap(recipe, draft, build / "tmp", current)
    enter = ["chroot", str(draft)]
    current.progress("configuring")
    place(enter, [OPERATOR], recipe.files)
    finish = [*enter, "/bin/sh", "-euc", recipe.finish]
    done = subprocess.run(finish, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"cannot configure the base image: {done.stderr.strip()}")
    draft.rename(root)
    removal.remove(build)


def _mmdebstrap(recipe: Recipe, draft: Path, scratch: Path, current: Step) -> None:
    options = [f'--aptopt={name} "{value}"' for name, value in recipe.apt_options.items()]
    # In a mount namespace: a killed mmdebstrap leaves its mounts.
    command = [
        "unshare",
        "--mount",
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
    ]
    command += [f"--include={','.join(recipe.packages)}", f"--keyring={KEYRING}", *options]
    command += [recipe.suite, str(draft), *recipe.sources]
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
        raise CannotRun(_failure(recipe, errors))


def _failure(recipe: Recipe, errors: list[str]) -> str:
    archives = " or ".join(dict.fromkeys(line.split()[1] for line in recipe.sources))
    return (
        f"mmdebstrap cannot build the base image: {errors[0] if errors else 'no error message'}\n"
        f"Check that this machine can connect to {archives or 'the Debian archive'}, for example "
        "with `apt-get update`, then run the lab again."
    )


def _files(certificates: dict[str, str]) -> tuple[File, ...]:
    """Return the files that are the same on every host."""
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
