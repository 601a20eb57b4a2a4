"""Releases of Ollama: unknown checksums, advisories, and archives for other hardware."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import Version

from mirrorfleet.checks import advisories
from mirrorfleet.config import Fleet
from mirrorfleet.config.ollama import PACKAGE, OllamaModel, Release
from mirrorfleet.config.problems import Key, Problem
from mirrorfleet.data import table
from mirrorfleet.engines.ollama import servers
from mirrorfleet.engines.placement import by_host, models_of

MESSAGES_SINCE = "0.14.0"
"""The first release with /v1/messages, which gateways pass through untranslated."""

REFUSED = {
    "rocm": "AMD GPUs are not supported: the service opens the devices of NVIDIA GPUs only.",
    "jetpack": "Jetson is not supported: nvidia-smi does not list its GPU.",
}
"""Vendor archives for hardware that the service cannot use, by a word in their names."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    for model in models_of(fleet, OllamaModel):
        yield from _release(fleet, model)
    for models in by_host(fleet, OllamaModel).values():
        yield from _known(fleet, models)


def _release(fleet: Fleet, model: OllamaModel) -> Iterator[Problem]:
    """Yield problems of the release that one model of the server sets."""
    key: Key = ("models", model.name)
    release, version = model.server.get("release"), model.server.get("version")
    if release and release.url and release.file:
        yield fleet.document.problem(
            (*key, "release"), "has both 'url' and 'file'.", "Remove one of the two."
        )
    if version:
        yield from advisories.problems(fleet, (*key, "version"), PACKAGE, version)
        if Version(version) < Version(MESSAGES_SINCE):
            yield fleet.document.problem(
                (*key, "version"),
                f"is {version}, which does not support /v1/messages, the API of Claude Code.",
                f"Write {MESSAGES_SINCE} or newer.",
            )
    for at, archive in enumerate(release.also if release else ()):
        yield from _also(fleet, (*key, "release", "also", at), archive)


def _also(fleet: Fleet, key: Key, archive: Release) -> Iterator[Problem]:
    """Yield problems of a further archive."""
    if not archive.url and not archive.file:
        yield fleet.document.problem(
            key, "has neither 'url' nor 'file'.", "Add the 'url' of the archive, or its 'file'."
        )
    elif archive.url and archive.file:
        yield fleet.document.problem(key, "has both 'url' and 'file'.", "Remove one of the two.")
    source = (archive.url or archive.file or "").rpartition("/")[2]
    for word, reason in REFUSED.items():
        if re.search(rf"[-_]{word}", source):
            yield fleet.document.problem(
                key,
                f"is {source}: {reason}",
                "Remove it: Ollama then computes on the CPU of such a host.",
            )


def _known(fleet: Fleet, models: list[OllamaModel]) -> Iterator[Problem]:
    """Yield problems of the release of a host, at the model that sets it."""
    server = servers.server(models)
    version = servers.version(server)
    if not server.release and version not in table("ollama")["releases"]:
        yield fleet.document.problem(
            servers.key(models, "version"),
            f"is {version}, whose SHA-256 checksum is not known here.",
            "Add release: {sha256: …}, from sha256sum.txt of the release.",
        )
    note = table("ollama")["releases"].get(version, {}).get("without_cooldown")
    if note and not server.release:
        yield fleet.document.warning(
            servers.key(models, "version"),
            f"is {version}, which was recorded less than a week after its release {note}.",
            f"Record it with `mirrorfleet lock ollama {version}` a week later.",
        )
    if server.release and not server.version:
        yield fleet.document.problem(
            servers.key(models, "release"),
            "needs a 'version'.",
            "Add 'version', the version of this release.",
        )
