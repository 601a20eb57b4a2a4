"""A store of Ollama on the controller: a directory with ``manifests`` and ``blobs``.

It has the format of OLLAMA_MODELS: `ollama pull` on any machine writes one.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mirrorfleet.config import reading
from mirrorfleet.config.ollama_names import DEFAULT_HOST, DEFAULT_NAMESPACE, NotAName, parse

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

TENSOR = "application/vnd.ollama.image.tensor"
"""The media type of weights for MLX: many blobs, and another runner."""


class NotUsable(Exception):
    """A store with a mistake; ``mistake`` is a predicate, for use after the directory's name."""

    def __init__(self, mistake: str, remedy: str) -> None:
        super().__init__(f"{mistake} {remedy}")
        self.mistake, self.remedy = mistake, remedy


@dataclass(frozen=True)
class StoredModel:
    """One model of a store. ``blobs``: the file of each blob by its digest, "sha256:…"."""

    tag: str
    manifest: str
    blobs: Mapping[str, Path]

    @property
    def digest(self) -> str:
        """Return the model's digest, as /api/tags reports it."""
        return sha256(self.manifest.encode()).hexdigest()


def read(directory: Path, tag: str | None) -> StoredModel:
    """Return a model of a store: that of ``tag``, or else its only one.

    The blobs exist with their sizes; their contents are not read. Raises ``NotUsable``.
    """
    path, name = _manifest(directory, tag)
    try:
        text = reading.text(path)
    except reading.Unreadable as error:
        raise NotUsable(f"has an unreadable manifest: {error}.", "Copy the store again.") from None
    try:
        manifest = json.loads(text)
        layers = [*manifest["layers"], manifest["config"]]
        blobs = {str(layer["digest"]): int(layer["size"]) for layer in layers}
        kinds = {str(layer.get("mediaType")) for layer in layers}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise NotUsable(
            f"has a manifest of '{name}' that is not Ollama's: {path}.", "Copy the store again."
        ) from None
    if TENSOR in kinds:
        raise NotUsable(
            f"has '{name}' in the format of MLX, which is not uploaded.",
            "Use its GGUF variant, or a tag that the hosts pull.",
        )
    return StoredModel(name, text, {digest: _blob(directory, digest, blobs) for digest in blobs})


def _blob(directory: Path, digest: str, sizes: Mapping[str, int]) -> Path:
    if not DIGEST.fullmatch(digest):
        raise NotUsable(f"has a manifest with the digest '{digest}'.", "Copy the store again.")
    path = directory / "blobs" / digest.replace(":", "-")
    try:
        status = path.stat()
    except OSError as error:
        mistake = f"has no {path.relative_to(directory)}: {error.strerror}."
        raise NotUsable(mistake, "Copy the store again.") from None
    if not stat.S_ISREG(status.st_mode):
        mistake = f"has {path.relative_to(directory)}, which is not a file."
        raise NotUsable(mistake, "Copy the store again.")
    if status.st_size != sizes[digest]:
        raise NotUsable(
            f"has {path.relative_to(directory)} with {status.st_size} bytes; its manifest says "
            f"{sizes[digest]}.",
            "Copy the store again.",
        )
    return path


def _manifest(directory: Path, tag: str | None) -> tuple[Path, str]:
    """Return the path of a model's manifest, and its tag."""
    if not directory.is_dir():
        raise NotUsable("does not exist.", "Correct the path.")
    names = _names(directory)
    if not names:
        raise NotUsable(
            "has no manifests/HOST/NAMESPACE/MODEL/TAG.",
            "Write the directory that OLLAMA_MODELS names where the model was pulled.",
        )
    if tag is None:
        if len(names) > 1:
            some = ", ".join(sorted(names)[:5])
            raise NotUsable(f"has {len(names)} models.", f"Add tag, one of: {some}.")
        [tag] = names
    try:
        path = parse(tag).path
    except NotAName as error:
        raise NotUsable(f"'{tag}' {error.mistake}", error.remedy) from None
    if path not in names.values():
        some = ", ".join(sorted(names)[:5])
        raise NotUsable(f"does not have '{tag}'.", f"Write one of: {some}.")
    return directory / "manifests" / path, tag


def _names(directory: Path) -> dict[str, str]:
    """Return the paths of all manifests by their shortest tags."""
    root = directory / "manifests"
    names = {}
    for path in sorted(root.glob("*/*/*/*")):
        host, namespace, model, tag = path.relative_to(root).parts
        if tag.startswith(".") or not path.is_file():
            continue
        short = f"{host}/{namespace}/{model}:{tag}"
        for default in (f"{DEFAULT_HOST}/", f"{DEFAULT_NAMESPACE}/"):
            short = short.removeprefix(default)
        names[short] = str(path.relative_to(root))
    return names
