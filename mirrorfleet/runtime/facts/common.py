"""Facts that several roles need: users, packages, files, what is free, what answers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines, last

HERE = Path(__file__).parent


@dataclass(frozen=True)
class User(Fact[str | None]):
    """The home of a user; ``None`` where the host has no such user."""

    name: str

    function = "user"

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Package(Fact[bool]):
    """Is a package of the distribution installed?"""

    name: str

    function = "package"
    shell = (HERE / "package.sh",)

    def value(self, lines: Lines) -> bool:
        return bool(lines)


@dataclass(frozen=True)
class Exists(Fact[bool]):
    """Is there anything at a path?"""

    path: str

    function = "path"

    def value(self, lines: Lines) -> bool:
        return bool(lines)


@dataclass(frozen=True)
class Link(Fact[str | None]):
    """Where a symbolic link leads; ``None`` where the path is none."""

    path: str

    function = "link"

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Tree(Fact[Mapping[str, str]]):
    """What stands at a path and below it, by the path relative to it; "" is the path itself.

    Of a file "MODE OWNER:GROUP SHA256"; of a directory "directory" in place of the digest.
    """

    path: str

    function = "tree"

    def value(self, lines: Lines) -> Mapping[str, str]:
        return {name: _described(*fields) for name, *fields in lines}


@dataclass(frozen=True)
class File(Fact[str | None]):
    """What stands at a path, as a `Tree` describes it; ``None`` where nothing does."""

    path: str

    function = "tree"

    def value(self, lines: Lines) -> str | None:
        return next((_described(*fields) for name, *fields in lines if not name), None)


def _described(kind_and_rights: str, digest: str = "") -> str:
    kind, _, rights = kind_and_rights.partition(" ")
    return f"{rights} {digest or _KINDS.get(kind, 'something else')}"


_KINDS = {"d": "directory", "l": "link"}
"""Names for find's types."""


@dataclass(frozen=True)
class Content(Fact[bytes | None]):
    """The content of a file of root's; ``None`` where there is none. No files of users' homes."""

    path: str

    function = "content"

    def value(self, lines: Lines) -> bytes | None:
        return _decoded(lines)


@dataclass(frozen=True)
class Answer(Fact[bytes | None]):
    """What a server answers to a GET from the host; ``None`` where it does not within 10 s."""

    url: str

    function = "answer"
    shell = (HERE / "answer.sh",)

    def value(self, lines: Lines) -> bytes | None:
        return _decoded(lines)


def _decoded(lines: Lines) -> bytes | None:
    packed = last(lines)
    return None if packed is None else base64.b64decode(packed)


@dataclass(frozen=True)
class Disk(Fact[int | None]):
    """The bytes that are free where a path is, or will be; ``None`` where df does not tell."""

    path: str

    function = "disk"
    shell = (HERE / "disk.sh",)

    def value(self, lines: Lines) -> int | None:
        free = last(lines)
        return None if free is None else int(free) * 1024


@dataclass(frozen=True)
class Services(Fact[frozenset[str]]):
    """The services of ours by the short names that a pattern matches, as "vllm-*".

    Also those that a cut run left without a unit.
    """

    names: str

    function = "services"

    def value(self, lines: Lines) -> frozenset[str]:
        return frozenset(name for [name] in lines)
