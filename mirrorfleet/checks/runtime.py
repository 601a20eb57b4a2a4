"""The runtime of gateways: a Python environment from a lock file, or a container image."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem

REFERENCE = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}")
"""Registry, repository and digest. Without a registry, Docker would use its own."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        return
    key: Key = ("gateway", "image")
    if gateway.runtime != "docker":
        if gateway.image:
            yield fleet.document.problem(
                key,
                "applies only with runtime: docker.",
                "Add runtime: docker, or remove it.",
                given=(("gateway", "runtime"),),
            )
    elif gateway.image is None:
        if not fleet.document.says("gateway", "image"):
            yield fleet.document.problem(
                ("gateway", "runtime"),
                "is docker, which needs gateway.image.",
                "Add image: REGISTRY/NAME@sha256:…, or {file: ARCHIVE, sha256: …}.",
            )
    elif gateway.image.name:
        name = gateway.image.name
        if not REFERENCE.fullmatch(name):
            yield fleet.document.problem(
                key,
                f"'{name}' must have the form REGISTRY/NAME@sha256:DIGEST: a tag could change.",
                f"To get the digest, run `docker buildx imagetools inspect "
                f"{name.partition('@')[0]}`.",
            )
        elif fleet.packages == "controller":
            yield fleet.document.warning(
                key,
                "is pulled by the gateways from a registry, but packages: controller is for hosts "
                "without network access.",
                "If the gateways have none, write {file: ARCHIVE, sha256: …}.",
            )
