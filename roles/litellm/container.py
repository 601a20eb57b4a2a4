"""LiteLLM from a container image: Docker, the image by its digest, and its required content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import Image, reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm.facts import DockerImage
from mirrorfleet.runtime.commands import Commands, visible_script
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
"""Docker's parent for the container's cgroup. Its name relates the process with the port to the
gateway's unit."""

DOCKER = "/usr/bin/docker"
STORE = "/var/lib/docker"
"""Docker's default directory for images."""

GENERATIONS = Tree(f"{ROOT}/litellm/generations")

IMAGES = f"{ROOT}/litellm/images"
"""A file with the reference of each image that a run brought, and may remove again."""

SIZE = 700 * 10**6
"""Minimum size of an image in bytes: that of LiteLLM and its packages."""

PACKAGES = ("docker.io", "docker-cli")
"""Docker from the distribution, and its client."""

SEPARATE_CLIENT = (("debian", "13"),)
"""Systems on which Docker's package does not include its client."""

FILES = Path(__file__).parent / "files"
HOOKS = shell(FILES / "container_hooks.sh", container=NAME)


def has_containers(image: Image | None, observed: Observation) -> bool:
    """Return whether this or an earlier generation runs in a container."""
    return bool(image) or any(path.endswith("/container.sh") for path in observed.get(GENERATIONS))


def packages(observed: Observation) -> tuple[str, ...]:
    """Return the packages that install Docker; none if the host has it, from any source."""
    if observed[Exists(DOCKER)]:
        return ()
    system = (observed.machine.system, observed.machine.release)
    return PACKAGES if system in SEPARATE_CLIENT else PACKAGES[:1]


def facts(image: Image) -> list[Fact[Any]]:
    """Return the facts of a host that runs the image."""
    packages = (Package(name) for name in PACKAGES)
    return [Exists(DOCKER), *packages, Disk(STORE), DockerImage(image.reference)]


def problems(image: Image, observed: Observation) -> Iterator[Problem]:
    """Yield a problem if the host does not have enough disk space for the image."""
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
    """Yield a change if the host does not have the image."""
    if not observed[DockerImage(image.reference)]:
        yield Change(f"image {image.reference} is missing")


def fetch(image: Image, observed: Observation) -> None:
    """Check the digest of the archive. Raises ``DeployError`` if it is another one."""
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
    """Yield the commands that pull or upload the image, if the host does not have it."""
    if observed[DockerImage(image.reference)]:
        return
    key = sha256(image.reference.encode()).hexdigest()[:12]
    record = shell(FILES / "record_image.sh", images=IMAGES, key=key)
    if image.file is None:
        yield visible_script(shell(FILES / "pull_image.sh", image=image.reference) + record)
    else:
        yield from upload(
            Path(image.file),
            shell(FILES / "load_image.sh", image=image.reference) + record,
            what=f"image {image.reference}",
        )


def expected(gateway: LitellmPlan) -> dict[str, Any]:
    """Return image.json: the release that the image must hold, and the refused packages."""
    refused = {
        package: [asdict(releases) for releases in listed]
        for package, listed in gateway.refused.items()
    }
    return {"litellm": gateway.version, "refused": refused}
