"""The container image of the gateways."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Image:
    """An image of a registry by ``name`` with its digest, or an archive ``file`` by its sha256."""

    name: str | None = None
    file: str | None = None
    sha256: str | None = None

    @property
    def reference(self) -> str:
        """Return the image's name on a gateway host. An archive's own name is not reliable."""
        return self.name or f"mirrorfleet-litellm:{str(self.sha256)[:12]}"


def image(section: Section) -> Image | None:
    """Read ``gateway.image``, ``None`` if the file does not have it."""
    match section.get("image"):
        case None:
            return None
        case str(name):
            return Image(name=name)
    archive = section.mapping("image")
    return Image(file=str(archive.path("file")), sha256=archive["sha256"])
