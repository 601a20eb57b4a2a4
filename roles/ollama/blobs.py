"""The files that the controller sends to an Ollama: GGUF files, and the blobs of pushed models.

Small files travel in one archive, large ones in chunks, so that a cut upload continues. They wait
in `STAGING`, of which only root has access; the server takes each one through its API, checks its
SHA-256, and then the staged file goes.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import DeployError

from mirrorfleet.config import ollama_store
from mirrorfleet.planning import http
from mirrorfleet.planning.ollama import OllamaModelPlan, OllamaPlan
from mirrorfleet.runtime import chunks
from mirrorfleet.runtime.commands import Commands, script, visible_script
from mirrorfleet.runtime.digests import digest, digests
from mirrorfleet.runtime.facts import Exists, Fact, FileSizes
from mirrorfleet.runtime.meter import Meter
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import STATE
from mirrorfleet.runtime.shell import call, shell
from mirrorfleet.runtime.upload import OPEN, upload

HERE = Path(__file__).parent / "files"

STAGING = f"{STATE}/ollama-upload"
"""Where files wait for the server, named after their SHA-256."""

SMALL = 16 * 1024**2
"""Files up to this many bytes are sent together."""

FILES = {"files", "adapters"}
"""The keys of a recipe that name files of this machine."""


@dataclass(frozen=True)
class Blob:
    """A file of this machine and its SHA-256. ``is_rewritten``: Ollama writes a copy of its own.

    It does so for the weights of a Modelfile: llama-quantize checks them, and writes them again.
    """

    path: Path
    sha256: str
    is_rewritten: bool = False

    @property
    def size(self) -> int:
        """Return its size in bytes."""
        return self.path.stat().st_size

    def on_server(self, plan: OllamaPlan) -> str:
        """Return the path at which the server stores it."""
        return f"{plan.models_directory}/blobs/sha256-{self.sha256}"


def of_model(model: OllamaModelPlan) -> list[Blob]:
    """Return the files of a model. Their contents are read once, and not at all for a pushed one.

    The server compares each with its SHA-256.
    """
    if model.store:
        stored = ollama_store.read(Path(model.store), model.tag)
        return [Blob(path, name.partition(":")[2]) for name, path in stored.blobs.items()]
    return [
        Blob(Path(path), digest(Path(path)), is_rewritten=kind == "files")
        for kind in sorted(FILES)
        for path in model.recipe.get(kind, {}).values()
    ]


def facts(plan: OllamaPlan) -> list[Fact[Any]]:
    """Return which files the server has, and how much of the others has arrived."""
    blobs = [blob for model in plan.models for blob in of_model(model)]
    if not blobs:
        return []
    return [FileSizes(STAGING), *(Exists(blob.on_server(plan)) for blob in blobs)]


def missing(
    plan: OllamaPlan, models: Iterable[OllamaModelPlan], observed: Observation
) -> dict[str, Blob]:
    """Return the files of some models that the server does not have, by their SHA-256."""
    blobs = [blob for model in models for blob in of_model(model)]
    return {blob.sha256: blob for blob in blobs if not observed[Exists(blob.on_server(plan))]}


def send(
    plan: OllamaPlan, models: Iterable[OllamaModelPlan], observed: Observation, program: str
) -> Commands:
    """Send the missing files of some models. ``program`` gives them to the server."""
    models = list(models)
    blobs = missing(plan, models, observed)
    if not blobs:
        return
    _verify(models, blobs)
    owners = {blob.sha256: model.model for model in models for blob in of_model(model)}
    arrived = observed[FileSizes(STAGING)]
    give = shell(
        HERE / "give_files.sh",
        staging=STAGING,
        program=program,
        url=f"{http(plan.listen, plan.port)}/api/blobs",
    )
    begin = shell(HERE / "open_staging.sh", staging=STAGING, requested=" ".join(blobs))
    large = {name: blob for name, blob in blobs.items() if blob.size > SMALL}
    total, done = sum(blob.size for blob in large.values()), 0
    if large:
        yield script(OPEN + begin)
    for name, blob in large.items():
        start = arrived.get(name, 0) if arrived.get(name, 0) <= blob.size else 0
        yield from chunks.send(
            blob.path,
            name,
            STAGING,
            digest=name,
            start=start,
            owner=owners[name],
            meter=Meter(f"weights {owners[name]}", total, done + start),
        )
        # Before the next one arrives: the host has room for one file twice.
        yield visible_script(give, "")
        done += blob.size
    small = {name: blob.path for name, blob in blobs.items() if name not in large}
    if small:
        unpack = call("tar", "-xf", "upload", "-C", STAGING, "--no-same-owner")
        yield from upload(_together(small), unpack + give, first="" if large else begin)


def _verify(models: Iterable[OllamaModelPlan], blobs: Mapping[str, Blob]) -> None:
    """Compare pushed files with their SHA-256 before they travel. Raises ``DeployError``."""
    pushed = [blob for model in models if model.store for blob in of_model(model)]
    pushed = [blob for blob in pushed if blob.sha256 in blobs]
    for blob, found in zip(pushed, digests([blob.path for blob in pushed]), strict=True):
        if found != blob.sha256:
            raise DeployError(
                f"{blob.path} is damaged: its sha256 is {found}. Copy the store again."
            )


def _together(files: Mapping[str, Path]) -> io.BytesIO:
    """Return files as one tar archive, named after their SHA-256."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            content = path.read_bytes()
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed
