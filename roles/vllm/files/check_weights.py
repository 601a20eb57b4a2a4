"""Check that the weights in a directory are complete.

Runs on the host with any python3; the controller imports it before it uploads weights:

    check_weights.py check DIRECTORY     names and headers of the files only; takes a second
    check_weights.py accept DIRECTORY    every byte against the list; removes wrong files
    check_weights.py verify DIRECTORY    every byte against the list; marks wrong files

The list was written with the weights: LIST/sha256 has the format of sha256sum. LIST/sizes has a
size and a name per line, and every run compares it with the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

LIST = ".mirrorfleet"
INDEX = "model.safetensors.index.json"

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""Directories that systemd hides from the service of an engine."""

LARGEST_HEADER = 100_000_000
"""Maximum size of a header in bytes, as in safetensors itself."""


def problems(directory: Path) -> Iterator[str]:
    """Yield which files of a model are missing, truncated or not valid."""
    if not (directory / "config.json").is_file():
        yield f"there is no config.json in {directory}"
        return
    named = set()
    if (directory / INDEX).exists():
        try:
            named = set(_index(directory / INDEX)["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            yield f"{INDEX} is not a valid index"
    for name in sorted(named):
        if not (directory / name).is_file():
            yield f"{name} is missing, but {INDEX} lists it"
    for file in sorted(directory.glob("*.safetensors")):
        if fault := header_fault(file):
            yield f"{file.name} {fault}"


def hidden_links(directory: Path) -> Iterator[str]:
    """Yield the first link to a directory that systemd hides from the service."""
    if _hidden(directory):
        return
    for path in (directory, *(sorted(directory.iterdir()) if directory.is_dir() else ())):
        real = Path(os.path.realpath(path))
        if place := _hidden(real):
            yield (
                f"{path.name} links to {real}, but systemd hides {place} from the service: put "
                "the files themselves here, or a bind mount"
            )
            return


def _hidden(path: Path) -> str:
    return next((place for place in HIDDEN if path.is_relative_to(place)), "")


def header_fault(file: Path) -> str:
    """Return how the size of a safetensors file contradicts its header; "" if it does not."""
    try:
        if not file.is_file():
            return "is not a regular file"
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if 8 + length > size:
                return f"is truncated in its header, at {size} bytes"
            if length > LARGEST_HEADER:
                return "is not a safetensors file"
            header = json.loads(stream.read(length))
        ends = (
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        )
        expected = 8 + length + max(ends, default=0)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "is not a safetensors file"
    return "" if size == expected else f"has {size} bytes, but its header requires {expected}"


def wrong(directory: Path) -> list[str]:
    """Read every file of the list, and return those that are missing or have another digest."""
    digests = {}
    for line in (directory / LIST / "sha256").read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        digests[name] = digest
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda name: sha256(directory / name), digests)
        return [
            name
            for (name, digest), actual in zip(digests.items(), found)  # noqa: B905, Python 3.9
            if actual != digest
        ]


def sha256(file: Path) -> str:
    """Return a file's digest; "" if the file cannot be read."""
    try:
        with file.open("rb") as stream:
            digest = hashlib.sha256()  # file_digest needs Python 3.11
            while block := stream.read(1024**2):
                digest.update(block)
            return digest.hexdigest()
    except OSError:
        return ""


def mark(directory: Path, names: list[str]) -> None:
    """Mark files as wrong in LIST/sizes, so that the next run replaces them."""
    sizes = directory / LIST / "sizes"
    lines = sizes.read_text("utf-8").splitlines()
    marked = (
        f"wrong {line.partition(' ')[2]}" for line in lines if line.partition(" ")[2] in names
    )
    kept = (line for line in lines if line.partition(" ")[2] not in names)
    sizes.write_text("".join(f"{line}\n" for line in sorted([*kept, *marked])), "utf-8")


def _index(file: Path) -> Any:
    if not file.is_file() or file.stat().st_size > LARGEST_HEADER:
        raise ValueError("not a file")  # reading a pipe would never end
    return json.loads(file.read_text("utf-8"))


def main(mode: str, place: str) -> int:
    """Check one directory, print what is wrong with it, and return the exit status."""
    directory = Path(place)
    found = []
    if mode != "check":
        found = wrong(directory)
        if mode == "verify":
            mark(directory, found)
        for name in found if mode == "accept" else ():
            (directory / name).unlink(missing_ok=True)
        found = [f"{name} has another content than when it was uploaded" for name in found]
    found += (mode == "check" and [*hidden_links(directory)]) or problems(directory)
    for fault in found:
        print(f"{place}: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
