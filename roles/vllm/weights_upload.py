"""The upload of weights: file by file, large files in chunks, and nothing twice."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from pyinfra import logger
from pyinfra.api.exceptions import DeployError

from mirrorfleet.roles.vllm.facts import Weights
from mirrorfleet.roles.vllm.files.check_weights import LIST, problems
from mirrorfleet.roles.vllm.staging import accept, begin
from mirrorfleet.runtime import chunks
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.digests import digests
from mirrorfleet.runtime.facts import FileSizes
from mirrorfleet.runtime.meter import Meter
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.shell import call
from mirrorfleet.runtime.upload import OPEN, upload

SMALL = 16 * 1024**2
"""Files up to this many bytes are sent together."""

QUIET = 1024**3
"""Up to this many bytes, files are read for their digests without a message."""


@dataclass(frozen=True)
class File:
    """The size in bytes and the SHA-256 of a file."""

    size: int
    sha256: str


@cache
def files(directory: Path) -> Mapping[str, File]:
    """Return the files of the weights by name, without hidden ones.

    Raises ``DeployError`` when the directory holds no model, or not all of one.
    """
    try:
        if wrong := list(problems(directory)):
            raise DeployError(f"the weights to push are not complete: {'; '.join(wrong)}.")
        names = sorted(
            str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
        )
        names = [name for name in names if not f"/{name}".count("/.")]
        sizes = [(directory / name).stat().st_size for name in names]
        if sum(sizes) > QUIET:
            logger.info(f"--> Reading {directory} for its digests, unless that was done before")
        found = digests([directory / name for name in names])
    except OSError as error:
        raise DeployError(f"{directory} cannot be read: {error}.") from None
    return {
        name: File(size, digest) for name, size, digest in zip(names, sizes, found, strict=True)
    }


def digest(directory: Path) -> str:
    """Return a digest of the names and contents of all files."""
    return sha256(_list(directory).encode()).hexdigest()


def missing(directory: Path, place: str, observed: Observation) -> Mapping[str, int]:
    """Return the files that are missing on a host, and the byte at which to continue each."""
    wrong, sizes = observed[Weights(place)], observed[FileSizes(f"{place}.part")]
    found = {}
    for name, file in files(directory).items():
        arrived = sizes.get(name, 0)
        if arrived != file.size and (wrong is None or name in wrong):
            found[name] = arrived if SMALL < arrived < file.size else 0
    return found


def missing_bytes(directory: Path, place: str, observed: Observation) -> int:
    """Return the bytes that the missing files need on the host, with the chunk in transit."""
    starts = missing(directory, place, observed)
    sizes = {name: files(directory)[name].size - start for name, start in starts.items()}
    return sum(sizes.values()) + min(chunks.CHUNK, max(sizes.values(), default=0))


def send(model: str, directory: Path, place: str, observed: Observation) -> Commands:
    """Send the missing files, and verify all files on the host."""
    part = f"{place}.part"
    every, starts = files(directory), missing(directory, place, observed)
    large = [name for name in starts if every[name].size > SMALL]
    total = sum(every[name].size for name in large)
    done = sum(starts[name] for name in large)
    if large:
        yield script(OPEN + begin(place))
    for name in large:
        yield from chunks.send(
            directory / name,
            name,
            part,
            digest=every[name].sha256,
            start=starts[name],
            owner=model,
            meter=Meter(f"weights {model}", total, done),
        )
        done += every[name].size - starts[name]
    small = {name: directory / name for name in starts if name not in large}
    unpack = call("tar", "-xf", "upload", "-C", part, "--no-same-owner")
    last = _together(small, _list(directory))
    yield from upload(last, unpack + accept([place], "accept"), first="" if large else begin(place))


def _list(directory: Path) -> str:
    """Return the digests in the format of sha256sum."""
    return "".join(f"{file.sha256}  {name}\n" for name, file in files(directory).items())


def _together(small: Mapping[str, Path], names: str) -> io.BytesIO:
    """Return the small files and the list of all digests as one tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(f"{LIST}/sha256")
        entry.size = len(names.encode())
        tar.addfile(entry, io.BytesIO(names.encode()))
        for name, path in small.items():
            tar.add(path.resolve(), name)
    return packed
