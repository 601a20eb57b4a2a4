"""Facts that several roles need: users, packages, files, free disk space, answers of servers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorfleet.runtime.facts.fact import Fact, Lines, last

HERE = Path(__file__).parent


@dataclass(frozen=True)
class User(Fact[str | None]):
    """The home of a user; ``None`` if the host does not have the user."""

    name: str

    function = "user"

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Package(Fact[bool]):
    """Whether a package of the distribution is installed."""

    name: str

    function = "package"
    shell = (HERE / "package.sh",)

    def value(self, lines: Lines) -> bool:
        return bool(lines)


@dataclass(frozen=True)
class Exists(Fact[bool]):
    """Whether a path exists."""

    path: str

    function = "path"

    def value(self, lines: Lines) -> bool:
        return bool(lines)


@dataclass(frozen=True)
class Link(Fact[str | None]):
    """The target of a symbolic link; ``None`` if the path is not a link."""

    path: str

    function = "link"

    def value(self, lines: Lines) -> str | None:
        return last(lines)


@dataclass(frozen=True)
class Tree(Fact[Mapping[str, str]]):
    """The files at and below a path, by their paths relative to it; "" is the path itself.

    A file has "MODE OWNER:GROUP SHA256", a directory "directory" in place of the digest.
    """

    path: str

    function = "tree"

    def value(self, lines: Lines) -> Mapping[str, str]:
        return {name: _described(*fields) for name, *fields in lines}


@dataclass(frozen=True)
class File(Fact[str | None]):
    """The file at a path, as a `Tree` describes it; ``None`` if there is none."""

    path: str

    function = "tree"

    def value(self, lines: Lines) -> str | None:
        return next((_described(*fields) for name, *fields in lines if not name), None)


def _described(kind_and_rights: str, digest: str = "") -> str:
    kind, _, rights = kind_and_rights.partition(" ")
    return f"{rights} {digest or _KINDS.get(kind, 'something else')}"


_KINDS = {"d": "directory", "l": "link"}
"""Names for the file types of find."""


@dataclass(frozen=True)
class Content(Fact[bytes | None]):
    """The content of a file that root owns; ``None`` if it is missing. Not for users' homes."""

    path: str

    function = "content"

    def value(self, lines: Lines) -> bytes | None:
        return _decoded(lines)


@dataclass(frozen=True)
class Answer(Fact[bytes | None]):
    """A server's answer to a GET request of the host; ``None`` without one within 10 s."""

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
    """The free bytes on the disk of a path, present or future; ``None`` if df reports none."""

    path: str

    function = "disk"
    shell = (HERE / "disk.sh",)

    def value(self, lines: Lines) -> int | None:
        free = last(lines)
        return None if free is None else int(free) * 1024


@dataclass(frozen=True)
class Services(Fact[frozenset[str]]):
    """The short names of Mirrorfleet's services that match a pattern, such as "vllm-*".

    It includes services that an interrupted run left without a unit.
    """

    names: str

    function = "services"

    def value(self, lines: Lines) -> frozenset[str]:
        return frozenset(name for [name] in lines)
