"""The pinned client: its package for a host, and its path there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.roles.claude.facts import OwnClients
from mirrorfleet.runtime import locks
from mirrorfleet.runtime.cache import npm_package
from mirrorfleet.runtime.facts import Exists
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.shell import shell

FILES = Path(__file__).parent / "files"


def binary(version: str) -> str:
    """Return the path of a client; each version has a directory of its own."""
    return f"{ROOT}/claude/{version}/claude"


def missing(plan: ClaudePlan, observed: Observation) -> list[str]:
    """Return the versions that the host does not have."""
    return [version for version in plan.versions if not observed[Exists(binary(version))]]


def package(plan: ClaudePlan, version: str, observed: Observation) -> Path:
    """Return the package for the host's architecture, downloaded unless it is in the cache."""
    lock = _lock(plan, version)
    package = lock["packages"][observed.machine.architecture]
    return npm_package(package["name"], lock["version"], package["integrity"])


def unpack(version: str) -> str:
    """Return the script that installs the client from the package, which is the file `upload`."""
    return shell(FILES / "unpack_client.sh", target=binary(version))


def pinned(plan: ClaudePlan, version: str) -> dict[str, tuple[str, str]]:
    """Return name and integrity of the package for each machine, as `uname -sm` prints it."""
    return {
        machine if " " in machine else f"Linux {machine}": (package["name"], package["integrity"])
        for machine, package in _lock(plan, version)["packages"].items()
    }


def packages(plan: ClaudePlan, version: str) -> dict[str, tuple[str, str]]:
    """Return name and SHA-512 in hexadecimal, which a shell script can check, per machine."""
    return {
        machine: (name, base64.b64decode(integrity.removeprefix("sha512-")).hex())
        for machine, (name, integrity) in pinned(plan, version).items()
    }


def ordinary(plan: ClaudePlan | None) -> list[str]:
    """Return the users of the command `claude`: isolated groups have commands of their own."""
    return [user.user for user in plan.users if user.scope != "isolated"] if plan else []


def notices(plan: ClaudePlan | None, observed: Observation) -> Iterator[str]:
    """Yield the clients that users have installed themselves, which may be other releases."""
    version = (plan.version if plan else None) or ""
    for user in ordinary(plan):
        for path, target in observed[OwnClients(user)].items():
            if not target.startswith(f"{ROOT}/"):
                yield (
                    f"~{user}/{path} is {user}'s own client{_release(target, version)} "
                    f"({target}). A shell may find it before the fleet's {version}: ask {user} "
                    "to remove it, or leave it."
                )


NATIVE = re.compile(r"/claude/versions/(\d+\.\d+\.\d+)$")
"""The file of a native installation, whose name is its release."""


def _release(target: str, version: str) -> str:
    """Return the words on the release of a user's own client, as far as its path shows it."""
    found = NATIVE.search(target)
    if not found:
        return ""
    if found[1] == version:
        return f", release {found[1]} as well"
    which = "newer" if _number(found[1]) > _number(version) else "older"
    return f", release {found[1]}, {which}"


def _number(release: str) -> list[int]:
    return [int(part) for part in release.split(".") if part.isdecimal()]


def problems(plan: ClaudePlan, observed: Observation) -> Iterator[Problem]:
    """Yield why the host cannot get its clients."""
    if observed.machine.system == "macos":
        yield error(
            "the system is macOS, which a run over SSH does not support.",
            "List its users under 'packaged', and give them the installer that "
            "`mirrorfleet package` writes.",
        )
        return
    for version in plan.versions:
        architecture = observed.machine.architecture
        if architecture not in _lock(plan, version)["packages"]:
            yield error(
                f"no lock file pins Claude Code {version} for this architecture, {architecture}.",
                "Use another machine.",
            )


def _lock(plan: ClaudePlan, version: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(locks.text(plan.locks[version]))
    return content
