"""Releases of Claude Code: npm packages with hashes, and the names that the client knows."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pyinfra.api.exceptions import DeployError

from mirrorfleet.advisory_folders import advisories
from mirrorfleet.checks.advisories import reasons
from mirrorfleet.config.advisories import CLAUDE_CODE
from mirrorfleet.config.lock_files import NPM, NPM_WITHOUT_COOLDOWN
from mirrorfleet.locking import claude_settings
from mirrorfleet.locking.target import LockError, Target, previous, wait
from mirrorfleet.runtime.cache import npm, npm_package


class Package(NamedTuple):
    """The client's package for one architecture."""

    name: str
    integrity: str
    published: datetime


def lock(target: Target, version: str, reason: str | None) -> Path:
    """Write the lock file of a release, and what it knows; return the lock file.

    It has the architectures of the release before. With a ``reason``, the release may be younger
    than the cooldown. Raises ``LockError``; then nothing is written.
    """
    known = target.locked("claude", NPM)
    bad = [
        hit
        for hit in advisories(target.root / "inventories/fleet.yml").hits(CLAUDE_CODE, version)
        if hit.refused
    ]
    if bad:
        raise LockError(f"Claude Code {version} must not be installed: {reasons(bad)}")
    before = previous(version, known) or version
    machines = json.loads(known[before].read_text("utf-8"))["packages"]
    found = {machine: _package(entry["name"], version) for machine, entry in machines.items()}
    if not reason:
        wait(f"Claude Code {version}", max(package.published for package in found.values()))
    schema = _schema(found["x86_64"], version)
    note = f"(claude, {date.today()}): {reason}" if reason else None
    path = target.locks("claude") / f"{version}{NPM}"
    target.written(path, _written(version, found, note))
    target.written(target.known("claude", version, NPM), claude_settings.written(schema))
    return path


def _schema(package: Package, version: str) -> dict[str, Any]:
    print(f"Reading the settings of Claude Code {version}, 175 MB (half a minute)", flush=True)
    try:
        return claude_settings.schema(npm_package(package.name, version, package.integrity))
    except DeployError as error:
        raise LockError(str(error)) from None
    except (OSError, tarfile.TarError, LookupError, ValueError) as error:
        raise LockError(
            f"Claude Code {version} cannot be read, so nothing is written: {error}. Its source may "
            "be laid out differently: see mirrorfleet/locking/claude_settings.py"
        ) from None


def _written(version: str, packages: Mapping[str, Package], note: str | None) -> str:
    """Return a lock file as text, with the ``note`` of an emergency."""
    content: dict[str, Any] = {"version": version}
    if note:
        content[NPM_WITHOUT_COOLDOWN] = note
    content["packages"] = {
        machine: {"name": package.name, "integrity": package.integrity}
        for machine, package in packages.items()
    }
    return json.dumps(content, indent=2) + "\n"


def _package(name: str, version: str) -> Package:
    """Return a package from npm, with this machine's configuration of npm.

    Raises ``LockError`` if the package, its hash or its date is missing.
    """
    try:
        program = npm()
    except DeployError as error:
        raise LockError(str(error)) from None
    command = [program, "view", "--json", "--loglevel=silent", f"{name}@{version}"]
    done = subprocess.run(
        [*command, "version", "dist.integrity", "time"], stdout=subprocess.PIPE, text=True
    )
    try:
        reply: dict[str, Any] = json.loads(done.stdout)
        if "error" in reply:
            raise LockError(f"npm cannot find {name} {version}: {reply['error']['summary']}")
        integrity, published = reply["dist.integrity"], reply["time"][version]
        if not integrity.startswith("sha512-"):
            raise LockError(f"npm has only a weaker hash than sha512 for {name} {version}")
        return Package(name, integrity, datetime.fromisoformat(published))
    except (ValueError, KeyError, TypeError):
        raise LockError(
            f"npm has no hash or date for {name} {version}. Use a registry with both: see "
            "npm config get registry"
        ) from None
