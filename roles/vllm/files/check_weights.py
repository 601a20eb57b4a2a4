"""Are the weights in a directory whole?

Runs on the host with any python3, and is read by the controller before weights are pushed:

    check_weights.py check DIRECTORY     what can be known without reading it all: in a second
    check_weights.py accept DIRECTORY    every byte against the list; removes wrong files
    check_weights.py verify DIRECTORY    every byte against the list; notes wrong files

The list was written when the weights arrived: LIST/sha256 in the words of sha256sum, LIST/sizes
with a size and a name per line, which every run compares with what is there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest
from pathlib import Path
from typing import Any

LIST = ".mirrorfleet"
INDEX = "model.safetensors.index.json"

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What systemd hides from a service of ours: see fleet/sandbox.py."""

LARGEST_HEADER = 100_000_000
"""Bytes: safetensors itself reads no larger one."""


def problems(directory: Path) -> Iterator[str]:
    """Yield what is wrong with a model: a file that is missing, and one that was cut."""
    if not (directory / "config.json").is_file():
        yield f"there is no config.json in {directory}"
        return
    named = set()
    if (directory / INDEX).exists():
        try:
            named = set(_index(directory / INDEX)["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            yield f"{INDEX} is no index"
    for name in sorted(named):
        if not (directory / name).is_file():
            yield f"{name} is missing, and {INDEX} names it"
    for file in sorted(directory.glob("*.safetensors")):
        if why := cut(file):
            yield f"{file.name} {why}"


def unseen(directory: Path) -> Iterator[str]:
    """Yield the first link that leads to where the service sees nothing."""
    if _hidden(directory):
        return
    for path in (directory, *(sorted(directory.iterdir()) if directory.is_dir() else ())):
        real = Path(os.path.realpath(path))
        if place := _hidden(real):
            yield (
                f"{path.name} leads to {real}, and systemd hides {place} from the service: put "
                "the files themselves here, or a bind mount"
            )
            return


def _hidden(path: Path) -> str:
    return next((each for each in HIDDEN if path.is_relative_to(each)), "")


def cut(file: Path) -> str:
    """Say how a safetensors file is not whole; nothing if it is. Only its header is read."""
    try:
        if not file.is_file():
            return "is no file"
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if 8 + length > size:
                return f"ends within its header: it has {size} bytes"
            if length > LARGEST_HEADER:
                return "is no safetensors file"
            header = json.loads(stream.read(length))
        ends = (said["data_offsets"][1] for name, said in header.items() if name != "__metadata__")
        whole = 8 + length + max(ends, default=0)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "is no safetensors file"
    return "" if size == whole else f"has {size} bytes, and its header tells of {whole}"


def wrong(directory: Path) -> list[str]:
    """Read every file of the list, and return those that are not what it says, or not there."""
    wanted = {}
    for line in (directory / LIST / "sha256").read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        wanted[name] = digest
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda name: sha256(directory / name), wanted)
        return [
            name for (name, digest), it in zip(wanted.items(), found, strict=True) if it != digest
        ]


def sha256(file: Path) -> str:
    """Return a file's digest; nothing where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def note(directory: Path, names: list[str]) -> None:
    """Let the next run see that these files are wrong, whatever their sizes are."""
    sizes = directory / LIST / "sizes"
    lines = sizes.read_text("utf-8").splitlines()
    noted = (f"wrong {line.partition(' ')[2]}" for line in lines if line.partition(" ")[2] in names)
    kept = (line for line in lines if line.partition(" ")[2] not in names)
    sizes.write_text("".join(f"{line}\n" for line in sorted([*kept, *noted])), "utf-8")


def _index(file: Path) -> Any:
    if not file.is_file() or file.stat().st_size > LARGEST_HEADER:
        raise ValueError("no index")  # a pipe would never end
    return json.loads(file.read_text("utf-8"))


def main(mode: str, place: str) -> int:
    directory = Path(place)
    found = []
    if mode != "check":
        found = wrong(directory)
        if mode == "verify":
            note(directory, found)
        for name in found if mode == "accept" else ():
            (directory / name).unlink(missing_ok=True)
        found = [f"{name} is not what it was sent as" for name in found]
    found += (mode == "check" and [*unseen(directory)]) or problems(directory)
    for each in found:
        print(f"{place}: {each}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
