"""Lock files: what they pin, as it concerns one host."""

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
    """Return the lock file's text with only what a Linux host with this Python ("3.11.2") needs.

    Markers are decided here, because pip decides them by the machine that it runs on.
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
    """Return the requirements of what ``for_host`` returns: of these names, and all others."""
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
