"""What gateways run from: a lock file's environment, or one image and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrorfleet.config import Fleet
from mirrorfleet.config.problems import Key, Problem

REFERENCE = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}")
"""A registry, a repository and a digest. Without a registry, Docker would look in its own."""


def problems(fleet: Fleet) -> Iterator[Problem]:
    gateway = fleet.gateway
    if gateway is None:
        return
    key: Key = ("gateway", "image")
    if gateway.runtime != "docker":
        if gateway.image:
            yield fleet.document.problem(
                key,
                "is for runtime: docker; here LiteLLM is installed from its lock file.",
                "Add runtime: docker, or remove it.",
                given=(("gateway", "runtime"),),
            )
    elif gateway.image is None:
        if not fleet.document.says("gateway", "image"):
            yield fleet.document.problem(
                ("gateway", "runtime"),
                "is docker, and no 'image' says which one.",
                "Add image: REGISTRY/NAME@sha256:…, or {file: ARCHIVE, sha256: …}.",
            )
    elif gateway.image.name:
        name = gateway.image.name
        if not REFERENCE.fullmatch(name):
            yield fleet.document.problem(
                key,
                f"'{name}' is not REGISTRY/NAME@sha256:… A tag may be another image tomorrow.",
                f"`docker buildx imagetools inspect {name.partition('@')[0]}` tells the digest.",
            )
        elif fleet.packages == "controller":
            yield fleet.document.warning(
                key,
                "is fetched by the gateways themselves, while packages: controller is for hosts "
                "that reach no registry.",
                "If these reach none, write {file: ARCHIVE, sha256: …}.",
            )
