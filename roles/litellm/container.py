"""LiteLLM from a container image: Docker, the image by its digest, and what must be in it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Image, reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.data import table
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.facts import DockerImage
from mirrorfleet.runtime.commands import Commands, telling
from mirrorfleet.runtime.digests import digest
from mirrorfleet.runtime.facts import Disk, Exists, Fact, Package, Tree
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import shell
from mirrorfleet.runtime.upload import upload

NAME = "mirrorfleet-litellm"

SLICE = f"{NAME}.service.slice"
"""Docker's parent for the container's cgroup: by its name, whoever asks to which unit the process
with the port belongs finds the gateway's."""

DOCKER = "/usr/bin/docker"
STORE = "/var/lib/docker"
"""Where Docker keeps images, unless its administrator has moved them."""

GENERATIONS = Tree(f"{ROOT}/litellm/generations")

GENERATIONS = Tree(f"{ROOT}/litellm/generations")

IMAGES = f"{ROOT}/litellm/images"
"""A file for each image that we brought, with its reference: what we may remove again."""

SIZE = 700 * 10**6
"""Bytes of an image at the least: what LiteLLM and its packages take."""

PACKAGES = ("docker.io", "docker-cli")
"""Docker from the distribution, and its client."""

CLIENT_APART = (("debian", "13"),)
"""Where Docker's package does not bring its client."""

FILES = Path(__file__).parent / "files"
HOOKS = shell(FILES / "container_hooks.sh", container=NAME)


def was_here(image: Image | None, observed: Observation) -> bool:
    """Does a generation run in a container, this one or one before: is there anything to tidy?"""
    return bool(image) or any(path.endswith("/container.sh") for path in observed.get(GENERATIONS))


def packages(observed: Observation) -> tuple[str, ...]:
    """Return the packages that bring Docker; none where there is one, whoever it is from."""
    if observed[Exists(DOCKER)]:
        return ()
    system = (observed.machine.system, observed.machine.release)
    return PACKAGES if system in CLIENT_APART else PACKAGES[:1]


def facts(image: Image) -> list[Fact[Any]]:
    """What must be known of a host that is to run the image."""
    packages = (Package(name) for name in PACKAGES)
    return [Exists(DOCKER), *packages, Disk(STORE), DockerImage(image.reference)]


def problems(image: Image, observed: Observation) -> Iterator[Problem]:
    """Yield why the host cannot have the image."""
    free = observed[Disk(STORE)]
    if observed[DockerImage(image.reference)] or free is None:
        return
    needed = SIZE
    if image.file and Path(image.file).exists():
        needed = max(SIZE, Path(image.file).stat().st_size)
    if needed > free:
        yield error(
            f"LiteLLM's image needs at least {needed / 1e9:.2f} GB below {STORE}, and "
            f"{free / 1e9:.2f} GB are free.",
            "Make room there.",
        )


def changes(image: Image, observed: Observation) -> Iterator[Change]:
    """Yield the image, if the host will be given it."""
    if not observed[DockerImage(image.reference)]:
        yield Change(f"image {image.reference} is missing")


def fetch(image: Image, observed: Observation) -> None:
    """Look whether the archive is the one that is wanted. Raises ``DeployError`` if it is not."""
    if image.file is None or observed[DockerImage(image.reference)]:
        return
    try:
        found = digest(Path(image.file))
    except reading.Unreadable as error:
        raise DeployError(f"LiteLLM's image {error}") from None
    if found != image.sha256:
        raise DeployError(
            f"{image.file} is not the expected image: its sha256 is {found}, not {image.sha256}."
        )


def install(image: Image, observed: Observation) -> Commands:
    """Pull the image, or send the archive, where the host does not have it."""
    if observed[DockerImage(image.reference)]:
        return
    key = sha256(image.reference.encode()).hexdigest()[:12]
    note = shell(FILES / "note_image.sh", images=IMAGES, key=key)
    if image.file is None:
        yield telling(shell(FILES / "pull.sh", image=image.reference) + note)
    else:
        yield from upload(Path(image.file), shell(FILES / "load.sh", image=image.reference) + note)


def wanted(gateway: LitellmPlan) -> dict[str, Any]:
    """Return image.json: what must be in the image, and what must not."""
    advisories = table("advisories")
    refused = {
        package: [{name: each[name] for name in each if name != "source"} for each in listed]
        for package, listed in advisories.items()
    }
    return {"litellm": gateway.version, "refused": refused}
