"""The lock file of a release of Claude Code: its packages, as the registry of npm tells of them."""

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
    """The client for one kind of machine."""

    name: str
    integrity: str
    published: datetime


def lock(locks: Path, version: str, cooldown: timedelta, reason: str | None) -> int:
    """Write the lock file of a release, for the machines that the newest one there is for.

    With a ``reason``, it may be younger than the ``cooldown``. Nothing is written when the release
    is too young, or not to be had for each of the machines.
    """
    newest = max(locks.glob("*.json"), key=lambda path: Version(path.stem))
    known = json.loads(newest.read_text("utf-8"))["packages"]
    try:
        found = {machine: _package(each["name"], version) for machine, each in known.items()}
        last = max(each.published for each in found.values())
        if not reason and datetime.now(UTC) < last + cooldown:
            raise DeployError(
                f"Claude Code {version} is of {last:%F}, and nothing younger than a week gets into "
                f"a lock file. Wait until {last + cooldown:%F}, or say --without-cooldown REASON."
            )
    except DeployError as error:
        print(f"lock: {error}", file=sys.stderr)
        return 1
    note = f"(claude, {date.today()}): {reason}" if reason else None
    (locks / f"{version}.json").write_text(_written(version, found, note), "utf-8")
    look = ".venv/bin/python -m tools.claude_settings"
    print(f"Claude Code {version} is pinned. Next, let it be looked at what it knows:\n")
    if newest.stem != version:
        both = sorted((newest.stem, version), key=Version)
        print(f"    {look} {' '.join(both)}    # what changed")
    print(f"    {look} {version}            # its list, for `settings` of fleet files")
    return 0


def _written(version: str, packages: Mapping[str, Package], note: str | None) -> str:
    """Return a lock file as text, with what is to be told of an emergency."""
    content: dict[str, Any] = {"version": version}
    if note:
        content[NPM_WITHOUT_COOLDOWN] = note
    content["packages"] = {
        machine: {"name": each.name, "integrity": each.integrity}
        for machine, each in packages.items()
    }
    return json.dumps(content, indent=2) + "\n"


def _package(name: str, version: str) -> Package:
    """Ask npm, with the configuration that this machine has for it.

    Raises ``DeployError`` when it has no such package, or does not say what must be known of it.
    """
    command = [npm(), "view", "--json", "--loglevel=silent", f"{name}@{version}"]
    done = subprocess.run(
        [*command, "version", "dist.integrity", "time"], stdout=subprocess.PIPE, text=True
    )
    try:
        said: dict[str, Any] = json.loads(done.stdout)
        if "error" in said:
            raise DeployError(f"npm does not find {name} {version}: {said['error']['summary']}.")
        integrity, published = said["dist.integrity"], said["time"][version]
        if not integrity.startswith("sha512-"):
            raise DeployError(f"npm knows {name} {version} by a weaker hash than sha512.")
        return Package(name, integrity, datetime.fromisoformat(published))
    except (ValueError, KeyError, TypeError):
        raise DeployError(
            f"npm does not say hash and date of {name} {version}. Its registry must tell both: "
            "npm config get registry."
        ) from None
