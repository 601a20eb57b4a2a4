"""Lock files as text: what they pin, and what was recorded when they were made."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

SUFFIXES = {"litellm": ".txt", "vllm": ".txt", "claude": ".json"}
"""What is installed from lock files, with their suffix: packages of Python, or of npm."""


@dataclass(frozen=True)
class LockFile:
    """A lock file; ``own``: of the fleet's repository, not a shipped one."""

    path: Path
    own: bool

    @property
    def shown(self) -> str:
        """The path for a message: relative where it is below the current directory."""
        relative = os.path.relpath(self.path)
        return str(self.path) if relative.startswith("..") else relative


@dataclass(frozen=True)
class Locks:
    """The lock files that a fleet can use, by what they install and by release."""

    files: Mapping[str, Mapping[str, LockFile]]

    def releases(self, service: str) -> list[str]:
        """Return the releases that have a lock file; vLLM's CPU build ends in ``-cpu``."""
        return sorted(self.files[service])

    def find(self, service: str, release: str) -> LockFile | None:
        return self.files[service].get(release)

    def path(self, service: str, release: str) -> Path:
        """Return the lock file of a release that has been checked. Raises ``LookupError``."""
        return self.files[service][release].path


WITHOUT_COOLDOWN = "# Without the cooldown"
"""How a lock file begins that was made in an emergency; packages, date and reason follow."""

NPM_WITHOUT_COOLDOWN = "without_cooldown"
"""The key with the same note in a lock file of npm packages, which is JSON."""

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")


def pins(text: str) -> Iterator[tuple[str, str]]:
    """Yield each package that a lock file pins, as its index spells it, and the version."""
    for line in text.splitlines():
        if "==" in line and (pin := _PIN.match(line)):  # most lines are hashes
            yield re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2]


def emergency(text: str) -> str | None:
    """Return why, when and for what a lock file was made without the cooldown, if it was."""
    if text.startswith("{"):
        note: str | None = json.loads(text).get(NPM_WITHOUT_COOLDOWN)
        return note
    first = text.partition("\n")[0]
    if not first.startswith(WITHOUT_COOLDOWN):
        return None
    return first.removeprefix(WITHOUT_COOLDOWN).strip()


CUDA_COMPILER = ("nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm")
"""Packages that must have the same release of CUDA as the runtime whose headers they compile."""

CUDA_RUNTIME = "nvidia-cuda-runtime"
OLDER_CUDA_RUNTIME = f"{CUDA_RUNTIME}-cu12"
"""Of CUDA 12: its packages do not share one directory, which the compiler expects."""


def cuda_mismatch(text: str) -> str:
    """Return what in a lock file of the CUDA build cannot compile for the GPU; "" if all fits."""
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
    """Return the pins of the CUDA compiler and runtime that a Linux host of this machine gets."""
    platform = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine}
    found = {}
    for line in text.splitlines():
        if line.startswith(("nvidia-cuda-", "nvidia-nvvm")) and "==" in line:
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate(platform):
                found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


INDEX = "# index:"
"""How a line begins that says which other index has a package: its name and a URL follow. Of a lock
file and of its .in file."""


def indexes(text: str) -> dict[str, str]:
    """Return the indexes of those packages that the registry of all others does not have."""
    lines = (line.split() for line in text.splitlines() if line.startswith(INDEX))
    return {words[2]: words[3] for words in lines}


def page(index: str, package: str) -> str:
    """Return the page of an index that lists the files of a package (PEP 503)."""
    return f"{index.rstrip('/')}/{package}/"
