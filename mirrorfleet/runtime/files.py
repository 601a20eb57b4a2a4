"""Single files on a host, written in one exec: each beside its place, then renamed into it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyinfra.api import Host, State
from pyinfra.api.command import StringCommand

from mirrorfleet.runtime.commands import ALONE, Commands, script
from mirrorfleet.runtime.facts import File
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.facts.homes import HomeFileState as Found
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.shell import call, shell


@dataclass(frozen=True)
class HomeFile:
    """A file below a user's home, written by that user. ``path`` is relative to the home.

    ``content`` is ``None`` where no file is to be.
    """

    user: str
    path: str
    content: bytes | None
    mode: str = "600"

    @property
    def fact(self) -> HomeFact:
        """The fact of what stands in its place."""
        return HomeFact(self.user, self.path)

    def how(self, there: Found | None) -> str:
        """Say how what is ``there`` differs from this file."""
        if self.content is None:
            return "will be removed"
        if there is None:
            return "is missing"
        if not there.mode.isdigit():
            return f"is {there.mode}"
        if there.content == self.content:
            return f"has mode {there.mode}, not {self.mode}"
        return "differs"


def outdated(files: Sequence[HomeFile], observed: Observation) -> list[HomeFile]:
    """Return the files whose content or mode on the host differs."""
    return [file for file, _ in _steps(files, observed)]


def _steps(
    files: Sequence[HomeFile], observed: Observation
) -> Iterator[tuple[HomeFile, Found | None]]:
    """Yield the files to be written one after another, each with what stands there by then."""
    written: dict[HomeFact, Found | None] = {}
    for file in files:
        there = written[file.fact] if file.fact in written else observed[file.fact]
        wanted = None if file.content is None else Found(file.mode, file.content)
        if there != wanted:
            yield file, there
            written[file.fact] = wanted


@dataclass(frozen=True)
class SystemFile:
    """A file of root's that all may read; ``content`` is ``None`` where no file is to be."""

    path: str
    content: bytes | None
    mode: str = "644"

    @property
    def description(self) -> str | None:
        """How a `File` describes it where it is right."""
        if self.content is None:
            return None
        return f"{self.mode} root:root {sha256(self.content).hexdigest()}"


HERE = Path(__file__).parent
HOMES = UNPACK + shell(HERE / "homes.sh")
PLACE = shell(HERE / "scripts" / "place_file.sh")

Left = Callable[[str, str, str], None]
"""Is told ``changed`` or ``skipped``, the user and why, of each home that was not written."""


class WriteHomes(StringCommand):
    """A command that succeeds where single homes could not be written, and says which."""

    def __init__(self, text: str, stdin: str, left: Left) -> None:
        super().__init__(ALONE + HOMES + text, _stdin=[stdin])
        self.left = left

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        succeeded, output = super().execute(state, host, connector_arguments)
        self.told(output.stdout_lines)
        return succeeded, output

    def told(self, lines: Iterable[str]) -> None:
        """Read what the script says of the homes."""
        for line in lines:
            match line.split("\t"):
                case ["changed" | "skipped" as how, user, why]:
                    self.left(how, user, why.strip())


def write(
    files: Sequence[HomeFile],
    observed: Observation,
    left: Left,
    *,
    first: SystemFile | None = None,
) -> Iterator[WriteHomes]:
    """Write the files that differ on the host, in one exec, in the order given.

    If any does, ``first`` is written before them. A file that another program has changed since it
    was looked at, perhaps an hour ago, is left alone.
    """
    members: list[Member] = []
    calls: dict[str, list[str]] = {}
    for file, there in _steps(files, observed):
        found = sha256(there.content).hexdigest() if there else "none"
        if file.content is None:
            words = ["remove", file.path, found]
        else:
            words = ["place", str(len(members)), file.path, found, file.mode]
            members.append(Member(str(len(members)), file.content, "600", file.user))
        calls.setdefault(file.user, []).append(shlex.join(words))
    if not calls:
        return
    before = ""
    if first and first.content is not None and unlike([first], observed):
        before = call("place", "first", first.mode, first.path)
        members.append(Member("first", first.content))
    places = "".join(call("as_user", user, "; ".join(each)) for user, each in calls.items())
    members.append(Member("places", places.encode(), "600"))
    text = PLACE + before + shell(HERE / "scripts" / "write_homes.sh")
    yield WriteHomes(text, pack(members), left)


def install(
    files: Sequence[SystemFile], observed: Observation, *, first: str = "", then: str = ""
) -> Commands:
    """Run ``first``, write the files that differ on the host, run ``then``: all in one exec."""
    changed = unlike(files, observed)
    if not changed:
        if around := first + then:
            yield script(around)
        return
    members, places = [], []
    for index, file in enumerate(changed):
        if file.content is None:
            places.append(call("rm", "-f", file.path))
        else:
            members.append(Member(str(index), file.content))
            places.append(call("place", str(index), file.mode, file.path))
    stage = UNPACK + shell(HERE / "scripts" / "open_stage.sh") + PLACE
    yield script("".join([stage, first, *places, then]), pack(members))


def unlike(files: Sequence[SystemFile], observed: Observation) -> list[SystemFile]:
    """Return the files that differ on the host."""
    return [file for file in files if observed[File(file.path)] != file.description]
