"""The cache of downloads that the controller sends to hosts: wheels and npm packages.

pip and npm download them, with their configuration on this machine. All files are checked against
the hashes of a lock file.
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
from types import MappingProxyType

from gevent.lock import Semaphore
from packaging.requirements import Requirement
from pyinfra import logger
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.lock_files import page
from mirrorfleet.runtime.locks import split

_lock = Semaphore()
"""Hosts are prepared in parallel, but a file is downloaded once for all of them."""


def directory() -> Path:
    """Return the cache of this user, outside the project."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mirrorfleet"


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the path of a cached file. ``make`` writes a missing one to a temporary path."""
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
    more: Mapping[str, Path] = MappingProxyType({}),
) -> Path:
    """Return a tar of the wheels that ``requirements`` pin, for a host's Python and architecture.

    ``requirements`` is the text of a lock file; the tar has it as pushed.txt. ``also`` is the text
    of a lock file that the tar has as requirements.txt, without its wheels. ``indexes`` maps a
    package to the index that has it if pip's own indexes do not. ``more`` maps the names of other
    files that the tar has to their paths, whose names must change with their content.
    """
    parts = [requirements, also, " ".join((python, architecture, *(p.name for p in more.values())))]
    key = sha256("\n".join(parts).encode()).hexdigest()[:16]

    def make(archive: Path) -> None:
        logger.info(f"--> Downloading the wheels of {name} for Python {python}, once")
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            directory = Path(scratch)
            apart, ordinary = split(requirements, indexes)
            # These first: if one is not available, the run stops before hundreds of downloads.
            if apart:
                _from_own_indexes(apart, indexes, python, architecture, directory)
            if ordinary:
                (directory / "pushed.txt").write_text(ordinary)
                _pip_download(directory / "pushed.txt", python, architecture, directory)
            (directory / "pushed.txt").write_text(requirements)
            (directory / "requirements.txt").write_text(also)
            with tarfile.open(archive, "w") as tar:
                for file in sorted(directory.iterdir()):
                    tar.add(file, file.name)
                for file_name, path in more.items():
                    tar.add(path, file_name)

    return cached(f"wheels/{name}-{key}.tar", make)


def _from_own_indexes(
    requirements: str, indexes: Mapping[str, str], python: str, architecture: str, to: Path
) -> None:
    """Download packages that have an index of their own, unless pip finds them as configured here.

    Raises ``DeployError`` for a package that no index has. A second request for it fails at once.
    """
    for entry in re.findall(r"^\S.*(?:\n .*)*", requirements, re.MULTILINE):
        request = (entry, python, architecture)
        if reason := _unavailable.get(request) or _download_one(*request, indexes, to):
            _unavailable[request] = reason
            raise DeployError(reason)


def _download_one(
    entry: str, python: str, architecture: str, indexes: Mapping[str, str], to: Path
) -> str:
    """Download one requirement. Return why it is not available, "" on success."""
    requirement = Requirement(entry.partition(" ")[0])
    page_url = page(indexes[requirement.name], requirement.name)
    file = to / "elsewhere.txt"
    file.write_text(f"{entry}\n")
    errors = []
    for options in ((), ("--no-index", f"--find-links={page_url}")):
        try:
            patience = (f"--timeout={SILENCE}", "--retries=1")
            _pip_download(file, python, architecture, to, *patience, *options)
            file.unlink()
            return ""
        except DeployError as error:
            errors.append(_first_error(str(error)))
    return (
        f"needs the wheel of {requirement} for Python {python} on {architecture}, which PyPI does "
        f"not have. pip with the configuration of this machine reports: {errors[0]}\n"
        f"    pip with {page_url} reports: {errors[1]}\n"
        "    Download the wheel on another machine, copy it to a folder here, and run: "
        f"{sys.executable} -m pip config set global.find-links FOLDER"
    )


def _first_error(output: str) -> str:
    """Return the first line of pip's output that starts with ERROR, without details."""
    lines = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    first = (lines or output.splitlines())[0].removeprefix("ERROR: ")
    return re.sub(r" \(from versions: .*\)", "", first)


_unavailable: dict[tuple[str, str, str], str] = {}
"""The reasons of failed downloads, by requirement, Python and architecture."""

SILENCE = 15
"""Timeout of an index in seconds. With it, a run that reaches no index ends within two minutes."""


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
    _run(command, "The wheels cannot be downloaded")


_PLATFORMS = ["linux", "manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37))]


def npm() -> str:
    """Return the path of npm: from this environment, or else from the PATH."""
    found = shutil.which("npm", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        raise DeployError(
            "npm, which downloads Claude Code, is missing on this machine. Install npm, or run "
            "`pip install 'mirrorfleet[npm]'`."
        )
    return found


def npm_file(name: str, version: str) -> str:
    """Return the file name of a package's tarball."""
    return f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"


def npm_package(name: str, version: str, integrity: str) -> Path:
    """Return the path of a package's tarball. ``integrity`` is its hash as in npm's lock files."""
    file = npm_file(name, version)

    def make(path: Path) -> None:
        logger.info(f"--> Downloading {name} {version}, once")
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            command = [npm(), "pack", "--silent", f"{name}@{version}"]
            _run(command, f"{name} cannot be downloaded", scratch)
            shutil.move(Path(scratch) / file, path)
        found = _integrity(path)
        if found != integrity:
            raise DeployError(
                f"{name} {version} has the hash {found}, but the lock file pins {integrity}."
            )

    path = cached(f"npm/{file}", make)
    if _integrity(path) != integrity:  # incomplete or changed: download it again
        path.unlink()
        path = cached(f"npm/{file}", make)
    return path


def _integrity(path: Path) -> str:
    """Return a file's hash as in npm's lock files. A run reads each file once."""
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
