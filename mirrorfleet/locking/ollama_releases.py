"""Releases of Ollama: the checksums of its archives, from the sha256sum.txt of a release."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from mirrorfleet.advisory_folders import advisories
from mirrorfleet.checks.advisories import reasons
from mirrorfleet.config import reading
from mirrorfleet.config.ollama import PACKAGE
from mirrorfleet.data import load
from mirrorfleet.locking.target import LockError, Target, wait

SUMS = "sha256sum.txt"
LINE = re.compile(r"([0-9a-f]{64})[ *]+(?:\./)?(\S+)")
SHIPPED = Path(__file__).parents[1] / "data/ollama.yml"


def lock(target: Target, version: str, file: Path | None, reason: str | None) -> None:
    """Record the checksums of a release.

    They come from ``file``, else from the release itself. In a project, print the keys of the
    fleet file that have them. With a ``reason``, the release may be younger than the cooldown.
    Raises ``LockError``; then nothing is written.
    """
    known = advisories(target.root / "inventories/fleet.yml").hits(PACKAGE, version)
    if bad := [hit for hit in known if hit.refused]:
        raise LockError(f"Ollama {version} must not be installed: {reasons(bad)}")
    path = SHIPPED if target.own else target.root / "mirrorfleet/data/ollama.yml"
    data = load(path.read_text("utf-8"))
    if file:
        text, origin = _file(file), str(file)
        print(f"{file}: the age of the release is not checked; it has no date")
    else:
        origin = data["url"].format(version=version, archive=SUMS)
        text = _download(origin, version, reason)
    digests = _digests(text, data["archives"], origin)
    if target.own:
        _advise(version, digests)
        return
    releases = {**data["releases"], version: digests}
    if reason:
        note = f"(ollama, {datetime.now(UTC):%F}): {reason}"
        releases[version] = {**digests, "without_cooldown": note}
    target.written(path, _written(path.read_text("utf-8"), releases))


def locked(target: Target) -> list[str]:
    """Return the releases with recorded checksums."""
    path = SHIPPED if target.own else target.root / "mirrorfleet/data/ollama.yml"
    return list(load(path.read_text("utf-8"))["releases"])


def _file(path: Path) -> str:
    try:
        return reading.text(path)
    except reading.Unreadable as error:
        raise LockError(str(error).rstrip(".")) from None


def _download(url: str, version: str, reason: str | None) -> str:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            text: str = reply.read(1_000_000).decode("utf-8", "replace")
            published = parsedate_to_datetime(reply.headers.get("Last-Modified") or "")
    except (OSError, urllib.error.URLError) as error:
        raise LockError(
            f"{url} cannot be downloaded: {error}. Download it elsewhere, and use --from {SUMS}"
        ) from None
    except ValueError:
        raise LockError(
            f"{url} has no date, so its age is unknown. Check it, and use --from {SUMS}"
        ) from None
    if not reason:
        wait(f"Ollama {version}", published)
    return text


def _digests(text: str, archives: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return the SHA-256 by architecture."""
    found = {name: digest for digest, name in LINE.findall(text)}
    if missing := [name for name in archives.values() if name not in found]:
        raise LockError(f"{origin} has no SHA-256 of {' or '.join(missing)}")
    return {machine: found[name] for machine, name in archives.items()}


def _advise(version: str, digests: Mapping[str, str]) -> None:
    print("Write into a model of each Ollama host, for its architecture:")
    for machine, digest in digests.items():
        print(f"\n    version: {version}    # {machine}\n    release: {{sha256: {digest}}}")


def _written(text: str, releases: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the data file with these releases, and its head as it was."""
    head = text[: text.index("\nreleases:\n")]
    lines = ["releases:"]
    for version in sorted(releases, key=Version):
        lines.append(f"  {version}:")
        lines += [f"    {name}: {_scalar(value)}" for name, value in releases[version].items()]
    return head + "\n" + "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else "'" + text.replace("'", "''") + "'"
