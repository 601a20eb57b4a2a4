"""The lock file of a release of Claude Code, from the data of the npm registry."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import Version
from pyinfra.api.exceptions import DeployError

from mirrorfleet.config.lock_files import NPM_WITHOUT_COOLDOWN
from mirrorfleet.runtime.cache import npm


class Package(NamedTuple):
    """The client's package for one architecture."""

    name: str
    integrity: str
    published: datetime


def lock(locks: Path, version: str, cooldown: timedelta, reason: str | None) -> int:
    """Write the lock file of a release, for the architectures of the newest one; return 0 or 1.

    With a ``reason``, the release may be younger than the ``cooldown``. Nothing is written if the
    release is too young, or if a package is missing.
    """
    newest = max(locks.glob("*.json"), key=lambda path: Version(path.stem))
    known = json.loads(newest.read_text("utf-8"))["packages"]
    try:
        found = {machine: _package(entry["name"], version) for machine, entry in known.items()}
        last = max(package.published for package in found.values())
        if not reason and datetime.now(UTC) < last + cooldown:
            raise DeployError(
                f"Claude Code {version} was published on {last:%F}, less than a week ago. "
                f"Wait until {last + cooldown:%F}, or use --without-cooldown REASON."
            )
    except DeployError as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    note = f"(claude, {date.today()}): {reason}" if reason else None
    (locks / f"{version}.json").write_text(_written(version, found, note), "utf-8")
    look = ".venv/bin/python -m tools.claude_settings"
    print(f"Claude Code {version} is pinned. Next, inspect its settings:\n")
    if newest.stem != version:
        both = sorted((newest.stem, version), key=Version)
        print(f"    {look} {' '.join(both)}    # the changes")
    print(f"    {look} {version}            # writes the schema for `settings` of fleet files")
    return 0


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

    Raises ``DeployError`` if the package, its hash or its date is missing.
    """
    command = [npm(), "view", "--json", "--loglevel=silent", f"{name}@{version}"]
    done = subprocess.run(
        [*command, "version", "dist.integrity", "time"], stdout=subprocess.PIPE, text=True
    )
    try:
        reply: dict[str, Any] = json.loads(done.stdout)
        if "error" in reply:
            raise DeployError(f"npm cannot find {name} {version}: {reply['error']['summary']}.")
        integrity, published = reply["dist.integrity"], reply["time"][version]
        if not integrity.startswith("sha512-"):
            raise DeployError(f"npm has only a weaker hash than sha512 for {name} {version}.")
        return Package(name, integrity, datetime.fromisoformat(published))
    except (ValueError, KeyError, TypeError):
        raise DeployError(
            f"npm has no hash or date for {name} {version}. Use a registry with both: see "
            "npm config get registry."
        ) from None
