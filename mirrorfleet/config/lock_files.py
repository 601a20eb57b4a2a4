"""Lock files as text: their pins, and the notes of the tool that made them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from mirrorfleet.config import reading
from mirrorfleet.config.problems import checked
from mirrorfleet.data import has_table, load, table

PYTHON, NPM = ".txt", ".json"
"""Suffixes of lock files for Python packages and for npm packages."""


@dataclass(frozen=True)
class LockFile:
    """A lock file; ``own``: from the fleet's project, not a shipped one."""

    path: Path
    own: bool

    @property
    def shown(self) -> str:
        """Return the path for messages: relative if it is below the current directory."""
        relative = os.path.relpath(self.path)
        return str(self.path) if relative.startswith("..") else relative


@dataclass(frozen=True)
class Locks:
    """The lock files that a fleet can use, by service and release.

    ``suffixes``: the suffix of the lock files of each service. ``own``: the ``locks/`` of the
    fleet's project, if it has one.
    """

    suffixes: Mapping[str, str]
    files: Mapping[str, Mapping[str, LockFile]]
    own: Path | None = None

    def releases(self, service: str) -> list[str]:
        """Return the releases that have a lock file; vLLM's CPU build ends in ``-cpu``."""
        return sorted(self.files[service])

    def find(self, service: str, release: str) -> LockFile | None:
        """Return the lock file of a release; ``None`` if there is none."""
        return self.files[service].get(release)

    def path(self, service: str, release: str) -> Path:
        """Return the lock file of a release. Raises ``Unchecked`` if there is none."""
        return checked(self.find(service, release), f"locks/{service}/{release}").path

    def names(self, service: str, release: str) -> Mapping[str, Any] | None:
        """Return the names that a release of LiteLLM or vLLM knows, by kind.

        ``None`` if Mirrorfleet does not have them, or if the project's own file of them, which
        replaces the shipped one, cannot be read.
        """
        if self.own and (path := known_file(self.own, service, release, ".yml")).is_file():
            return _own_names(path)
        name = f"{service}_known/{release}"
        return table(name) if has_table(name) else None

    def proposed(self, service: str, build: str = "") -> str | None:
        """Return the release to suggest; ``build``: "" or "-cpu". ``None`` without lock files."""
        found = [name for name in self.files[service] if name.endswith("-cpu") == bool(build)]
        names = [name.removesuffix(build) for name in found]
        first: str | None = table("releases").get(f"{service}{build}")
        return first if first in names else max(names, key=Version, default=None)


def known_file(own: Path, service: str, release: str, suffix: str) -> Path:
    """Return the file in a project's ``locks/`` with the names that a release knows."""
    return own / service / "known" / f"{release}{suffix}"


def _own_names(path: Path) -> Mapping[str, Any] | None:
    try:
        content = load(reading.text(path))
    except (reading.Unreadable, yaml.YAMLError):
        return None
    if not isinstance(content, dict) or not content:
        return None
    return content if all(isinstance(names, list) for names in content.values()) else None


WITHOUT_COOLDOWN = "# Without the cooldown"
"""First line of a lock file from an emergency; packages, date and reason follow."""

NPM_WITHOUT_COOLDOWN = "without_cooldown"
"""The same note in a lock file of npm packages, as a key: the file is JSON."""

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")


def pins(text: str) -> Iterator[tuple[str, str]]:
    """Yield each pinned package, by its normalized name, and its version."""
    for line in text.splitlines():
        if "==" in line and (pin := _PIN.match(line)):  # most lines are hashes
            yield re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2]


@lru_cache(maxsize=64)
def all_pins(text: str) -> tuple[tuple[str, str], ...]:
    """Return ``pins`` of a whole lock file, which many models of a fleet may share."""
    return tuple(pins(text))


def emergency(text: str) -> str | None:
    """Return packages, date and reason of a lock file without the cooldown, else ``None``."""
    if text.startswith("{"):
        note: str | None = json.loads(text).get(NPM_WITHOUT_COOLDOWN)
        return note
    first = text.partition("\n")[0]
    if not first.startswith(WITHOUT_COOLDOWN):
        return None
    return first.removeprefix(WITHOUT_COOLDOWN).strip()


CUDA_COMPILER = ("nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm")
"""Packages that need the same release of CUDA as the runtime whose headers they compile."""

CUDA_RUNTIME = "nvidia-cuda-runtime"
OLDER_CUDA_RUNTIME = f"{CUDA_RUNTIME}-cu12"
"""The runtime of CUDA 12. The compiler expects one directory; packages of CUDA 12 use several."""


@lru_cache(maxsize=64)
def cuda_mismatch(text: str) -> str:
    """Return why the pins of a CUDA build cannot compile for a GPU, "" if they can."""
    for machine in ("x86_64", "aarch64"):
        found = _on_linux(text, machine)
        if OLDER_CUDA_RUNTIME in found:
            return f"{OLDER_CUDA_RUNTIME} {found[OLDER_CUDA_RUNTIME]}, and CUDA 13 is the oldest"
        runtime = found.get(CUDA_RUNTIME, "")
        for name in CUDA_COMPILER:
            release = found.get(name, "")
            if not release or release.split(".")[:2] != runtime.split(".")[:2]:
                return (
                    f"{name} {release or 'missing'} beside {CUDA_RUNTIME} {runtime or 'missing'}, "
                    "and their releases of CUDA must be equal"
                )
    return ""


def _on_linux(text: str, machine: str) -> dict[str, str]:
    """Return the pins of CUDA compiler and runtime for a Linux host of this architecture."""
    platform = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine}
    found = {}
    for line in text.splitlines():
        if line.startswith(("nvidia-cuda-", "nvidia-nvvm")) and "==" in line:
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate(platform):
                found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


INDEX = "# index:"
"""Start of a line with the index of a package, in lock files and .in files: name and URL follow."""


def indexes(text: str) -> dict[str, str]:
    """Return the URL of the index by package, for packages that are not in the default index."""
    lines = (line.split() for line in text.splitlines() if line.startswith(INDEX))
    return {words[2]: words[3] for words in lines}


def page(index: str, package: str) -> str:
    """Return the URL of a package's page in an index (PEP 503)."""
    return f"{index.rstrip('/')}/{package}/"
