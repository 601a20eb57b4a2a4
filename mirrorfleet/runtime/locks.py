"""The requirements of lock files for one host."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from pyinfra.api.exceptions import DeployError


def text(lock: Path) -> str:
    """Return the text of a lock file. Raises ``DeployError`` if the file is missing."""
    try:
        return lock.read_text("utf-8")
    except FileNotFoundError:
        raise DeployError(f"the lock file {lock} is missing.") from None


@cache
def for_host(lock: str, python: str, architecture: str) -> str:
    """Return a lock file's text with the requirements of a Linux host with this Python ("3.11.2").

    Markers are evaluated here, because pip evaluates them for the machine on which it runs.
    """
    environment = {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": architecture,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }
    kept = []
    for requirement, hashes in _entries(lock):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            requirement.marker = None
            kept.append(" \\\n    ".join([str(requirement), *hashes]))
    return "\n".join(kept) + "\n"


def split(requirements: str, names: Collection[str]) -> tuple[str, str]:
    """Return the requirements with these names, and all others. The text is from `for_host`."""
    parts: tuple[list[str], list[str]] = ([], [])
    for requirement, hashes in _entries(requirements):
        entry = " \\\n    ".join([str(requirement), *hashes])
        parts[requirement.name not in names].append(f"{entry}\n")
    return "".join(parts[0]), "".join(parts[1])


def _entries(lock: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Yield each pinned requirement with its ``--hash=`` options."""
    lines = [line for line in lock.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split(" --hash=")
        yield Requirement(requirement), [f"--hash={digest.strip()}" for digest in hashes]
