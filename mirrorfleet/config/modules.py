"""Python modules of the user's own, which the gateways load: callbacks, guardrails, providers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class Module:
    """``name`` is that of the file, without ``.py``; ``text`` is ``None`` if it cannot be read."""

    name: str
    path: Path
    text: str | None = field(repr=False)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the content."""
        return hashlib.sha256((self.text or "").encode()).hexdigest()


def modules(section: Section) -> tuple[Module, ...]:
    """Read ``gateway.modules``: paths relative to the file that has them."""
    return tuple(
        _module(section.document.directory((*section.key, "modules", index)) / name)
        for index, name in enumerate(section.strings("modules"))
    )


def _module(path: Path) -> Module:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError):  # missing, not readable, or not UTF-8
        text = None
    return Module(path.stem, path, text)
