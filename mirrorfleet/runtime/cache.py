"""What the controller fetches once, keeps, and pushes to hosts: wheels and npm packages.

Everything is fetched by the ordinary clients, pip and npm, with the configuration that this
machine has for them, and checked against the hashes of a lock file.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from threading import Lock
from types import MappingProxyType

from packaging.requirements import Requirement
from pyinfra import logger
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.lock_files import page
from mirrorfleet.runtime.locks import split

_lock = Lock()
"""Hosts are prepared in parallel, and the same file is fetched for all of them once."""


def directory() -> Path:
    """Return the cache of this user, outside the project."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mirrorfleet"


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the cached file ``name``; ``make`` writes it, beside its place, when it is missing."""
    path = directory() / name
    with _lock:
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as scratch:
            made = Path(scratch) / "made"
            make(made)
            made.replace(path)
    return path


def wheels(
    requirements: str,
    name: str,
    python: str,
    architecture: str,
    *,
    also: str,
    indexes: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Return a tar of the wheels that ``requirements`` pin, for a host's Python and architecture.

    ``requirements`` is a lock file's text, ``also`` that of one whose wheels are not to be packed;
    both texts are: as pushed.txt and requirements.txt. ``indexes`` maps a package to an index that
    has it where pip's own do not.
    """
    key = sha256(f"{requirements}\n{also}\n{python} {architecture}".encode()).hexdigest()[:16]

    def make(archive: Path) -> None:
        logger.info(f"--> Fetching the wheels of {name} for Python {python}, once")
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            directory = Path(scratch)
            apart, ordinary = split(requirements, indexes)
            # First: where one of these is nowhere to be had, nobody waits for hundreds of others.
            if apart:
                _from_elsewhere(apart, indexes, python, architecture, directory)
            if ordinary:
                (directory / "pushed.txt").write_text(ordinary)
                _pip_download(directory / "pushed.txt", python, architecture, directory)
            (directory / "pushed.txt").write_text(requirements)
            (directory / "requirements.txt").write_text(also)
            with tarfile.open(archive, "w") as tar:
                for file in sorted(directory.iterdir()):
                    tar.add(file, file.name)

    return cached(f"wheels/{name}-{key}.tar", make)


def _from_elsewhere(
    requirements: str, indexes: Mapping[str, str], python: str, architecture: str, to: Path
) -> None:
    """Fetch what an index of its own has, unless pip finds it as it is configured here.

    Raises ``DeployError`` when it is nowhere to be had: for all hosts alike, after one look.
    """
    for entry in re.findall(r"^\S.*(?:\n .*)*", requirements, re.MULTILINE):
        wanted = (entry, python, architecture)
        if why := _nowhere.get(wanted) or _one_from_elsewhere(*wanted, indexes, to):
            _nowhere[wanted] = why
            raise DeployError(why)


def _one_from_elsewhere(
    entry: str, python: str, architecture: str, indexes: Mapping[str, str], to: Path
) -> str:
    """Fetch one requirement. Return why it is not to be had, if so."""
    requirement = Requirement(entry.partition(" ")[0])
    where = page(indexes[requirement.name], requirement.name)
    file = to / "elsewhere.txt"
    file.write_text(f"{entry}\n")
    said = []
    for options in ((), ("--no-index", f"--find-links={where}")):
        try:
            patience = (f"--timeout={SILENCE}", "--retries=1")
            _pip_download(file, python, architecture, to, *patience, *options)
            file.unlink()
            return ""
        except DeployError as error:
            said.append(_first_error(str(error)))
    return (
        f"needs the wheel of {requirement} for Python {python} on {architecture}, which PyPI does "
        f"not have. pip, as it is configured on this machine, says: {said[0]}\n"
        f"    Of {where} it says: {said[1]}\n"
        "    Download the wheel there with another machine, put it into a folder, and run: "
        f"{sys.executable} -m pip config set global.find-links FOLDER"
    )


def _first_error(said: str) -> str:
    """Return what pip calls the error; what follows it is detail."""
    lines = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    first = (lines or said.splitlines())[0].removeprefix("ERROR: ")
    return re.sub(r" \(from versions: .*\)", "", first)


_nowhere: dict[tuple[str, str, str], str] = {}
"""What was asked for of an index of its own in vain, and why."""

SILENCE = 15
"""Seconds without a byte after which an index counts as away: all are asked within two minutes."""


def _pip_download(
    requirements: Path, python: str, architecture: str, to: Path, *options: str
) -> None:
    version = ".".join(python.split(".")[:2])
    abi = f"cp{version.replace('.', '')}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={version}"]
    command += [f"--abi={name}" for name in (abi, "abi3", "none")]
    command += [f"--platform={name}_{architecture}" for name in _PLATFORMS]
    command += ["--platform=any", "--dest", str(to), "--requirement", str(requirements)]
    command += options
    _run(command, "The wheels cannot be fetched")


_PLATFORMS = ["linux", "manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37))]


def npm() -> str:
    """Return the program npm: ours, or the one that this machine has."""
    found = shutil.which("npm", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        raise DeployError(
            "npm is not on this machine, and it fetches Claude Code. Install npm, or "
            "`pip install 'mirrorfleet[npm]'`, which brings its own."
        )
    return found


def npm_file(name: str, version: str) -> str:
    """Return what npm calls a package's tarball."""
    return f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"


def npm_package(name: str, version: str, integrity: str) -> Path:
    """Return the package's tarball, whose sha512 is ``integrity`` as npm's lock files write it."""
    file = npm_file(name, version)

    def make(path: Path) -> None:
        logger.info(f"--> Fetching {name} {version}, once")
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            command = [npm(), "pack", "--silent", f"{name}@{version}"]
            _run(command, f"{name} cannot be fetched", scratch)
            shutil.move(Path(scratch) / file, path)
        found = _integrity(path)
        if found != integrity:
            raise DeployError(f"{name} {version} is not what the lock file pins: {found}.")

    path = cached(f"npm/{file}", make)
    if _integrity(path) != integrity:  # cut short, or of another hand: it is fetched again
        path.unlink()
        path = cached(f"npm/{file}", make)
    return path


def _integrity(path: Path) -> str:
    """Return what npm's lock files write of a file; each is read once in a run."""
    stat = path.stat()
    return _sha512(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache
def _sha512(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return "sha512-" + base64.b64encode(file_digest(file, "sha512").digest()).decode()


def _run(command: list[str], failure: str, directory: str | None = None) -> None:
    done = subprocess.run(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-4:])
        raise DeployError(f"{failure}:\n{last}")
