"""The container image that gateways run from."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Image:
    """What a registry has under a ``name`` with its digest, or a ``file`` of the controller."""

    name: str | None = None
    file: str | None = None
    sha256: str | None = None

    @property
    def reference(self) -> str:
        """What Docker calls it on a gateway. An archive brings no name that can be relied on."""
        return self.name or f"mirrorfleet-litellm:{str(self.sha256)[:12]}"


def image(said: Section) -> Image | None:
    """Return the image that is said under ``image``, if one is."""
    match said.get("image"):
        case None:
            return None
        case str(name):
            return Image(name=name)
    archive = said.section("image")
    return Image(file=str(archive.path("file")), sha256=archive["sha256"])
