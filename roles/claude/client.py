"""The pinned client: which package a host wants, and where it stands there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fleet.plan import ClaudePlan
from roles.host.cache import npm_package
from roles.host.observe import Observation
from roles.host.places import ROOT

LOCKS = Path(__file__).parent / "locks"


def binary(version: str) -> str:
    """Return where a client stands; another version is another directory."""
    return f"{ROOT}/claude/{version}/claude"


def missing(plan: ClaudePlan, seen: Observation) -> list[str]:
    """Return the versions that the host does not have."""
    return [version for version in plan.versions if binary(version) not in seen.paths]


def package(version: str, seen: Observation) -> Path:
    """Return the package for the host's architecture, fetched when it is not here."""
    lock = _lock(version)
    package = lock["packages"][seen.architecture]
    return npm_package(package["name"], lock["version"], package["integrity"])


def unpack(version: str) -> str:
    """Return the script that puts the client in its place from the package, as `upload`."""
    target = binary(version)
    return (
        f"tar -xzf upload --no-same-owner package/claude\n"
        f"install -D -m 755 package/claude {target}.new\n"
        f"mv {target}.new {target}"
    )


def refusals(plan: ClaudePlan, seen: Observation) -> Iterator[str]:
    """Yield why the host cannot have its clients."""
    for version in plan.versions:
        if not _lock_file(version).exists():
            known = ", ".join(sorted(path.stem for path in LOCKS.glob("*.json")))
            yield f"wants a Claude Code that no lock file pins. Pinned are: {known}."
        elif seen.architecture not in _lock(version)["packages"]:
            yield f"is {seen.architecture}, for which no client is pinned."


def _lock_file(version: str) -> Path:
    return LOCKS / f"{version}.json"


def _lock(version: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_lock_file(version).read_text(encoding="utf-8"))
    return content
