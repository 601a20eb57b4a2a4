"""Where the files of a release go: into Mirrorfleet's source tree, or into a project's locks/."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from packaging.version import InvalidVersion, Version

from mirrorfleet.lock_folders import OWN, SHIPPED

COOLDOWN = timedelta(days=7)
"""How old a release must be: malicious releases are usually detected within days."""


class LockError(Exception):
    """Why a release cannot be locked, with the fix."""


def wait(name: str, published: datetime) -> None:
    """Raise ``LockError`` for a release that is younger than the cooldown."""
    until = (published + COOLDOWN).astimezone(UTC)
    if datetime.now(UTC) < until:
        raise LockError(
            f"{name} was published on {published:%F}, less than a week ago. "
            f"Wait until {until:%F %H:%M} UTC, or use --without-cooldown REASON"
        )


@dataclass(frozen=True)
class Target:
    """A directory for lock files; ``own``: a project's, not Mirrorfleet's source tree."""

    root: Path
    own: bool

    def locks(self, service: str) -> Path:
        """Return the folder of a service's lock files."""
        return self.root / OWN / service if self.own else self.root / "roles" / service / "locks"

    def known(self, service: str, release: str, suffix: str) -> Path:
        """Return the file of the names that a release knows."""
        if self.own:
            return self.locks(service) / "known" / f"{release}{suffix}"
        if service == "claude":
            return self.root / f"schemas/claude-settings-{release}{suffix}"
        return self.root / f"mirrorfleet/data/{service}_known/{release}{suffix}"

    def shown(self, path: Path) -> str:
        """Return a path for messages."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def written(self, path: Path, content: str) -> None:
        """Write a file and report it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(f"{self.shown(path)}: written")

    def locked(self, service: str, suffix: str) -> dict[str, Path]:
        """Return the lock files of a service by release: the shipped ones, and those here."""
        folders = (SHIPPED / service / "locks", self.locks(service))
        return {path.stem: path for folder in folders for path in sorted(_files(folder, suffix))}


def target(directory: Path) -> Target:
    """Return where a command in ``directory`` writes. Raises ``LockError`` outside of both."""
    tree = SHIPPED.resolve().parent
    here = directory.resolve()
    if (tree / "bin/lock").is_file() and here.is_relative_to(tree):
        return Target(tree, own=False)
    if not any((here / name).exists() for name in (OWN, "inventories", "fleet.yml")):
        raise LockError(
            "this is not a fleet's repository: it has no inventories/, fleet.yml or locks/. "
            "Change to its top directory, or run `mirrorfleet init` first"
        )
    return Target(here, own=True)


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    for path in folder.glob(f"*{suffix}"):
        try:
            Version(path.stem.removesuffix("-cpu"))
        except InvalidVersion:
            continue
        yield path


def previous(release: str, others: Iterable[str]) -> str | None:
    """Return the release to compare with: the newest before this one, else the oldest after it.

    Only releases of the same build count: those with ``-cpu``, or those without.
    """
    build = release.partition("-")[1:]
    names = [name for name in others if name.partition("-")[1:] == build and name != release]
    order = sorted(names, key=_version)
    before = [name for name in order if _version(name) < _version(release)]
    return before[-1] if before else next(iter(order), None)


def _version(name: str) -> Version:
    return Version(name.removesuffix("-cpu"))
