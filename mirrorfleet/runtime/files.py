"""Single files on a host, written in one exec: to a temporary path each, then renamed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyinfra.api import Host, State
from pyinfra.api.command import StringCommand

from mirrorfleet.runtime.commands import Commands, begin, script
from mirrorfleet.runtime.facts import File
from mirrorfleet.runtime.facts.homes import HomeFile as HomeFact
from mirrorfleet.runtime.facts.homes import HomeFileState as Found
from mirrorfleet.runtime.facts.homes import HomeLeftovers
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from mirrorfleet.runtime.shell import call, shell


@dataclass(frozen=True)
class HomeFile:
    """A file below a user's home, written by that user. ``path`` is relative to the home.

    ``content`` is ``None`` if the file must not exist.
    """

    user: str
    path: str
    content: bytes | None
    mode: str = "600"

    @property
    def fact(self) -> HomeFact:
        """The fact about the file on the host."""
        return HomeFact(self.user, self.path)

    def difference(self, present: Found | None) -> str:
        """Return how the present file differs from this one, as the end of a sentence."""
        if self.content is None:
            return "will be removed"
        if present is None:
            return "is missing"
        if not present.mode.isdigit():
            return f"is {present.mode}"
        if present.content == self.content:
            return f"has mode {present.mode}, not {self.mode}"
        return "differs"


@dataclass(frozen=True)
class HomeLink:
    """A link below a user's home to a file of Mirrorfleet. ``target`` is ``None`` if it must go.

    ``present`` is the target of the link that is there. Only that link is replaced or removed.
    """

    user: str
    path: str
    target: str | None
    present: str = ""

    @property
    def words(self) -> list[str]:
        """The call that writes or removes it."""
        if self.target is None:
            return ["remove_link", self.path, self.present]
        return ["place_link", self.target, self.path, self.present]


def leftovers(observed: Observation) -> list[HomeLeftovers]:
    """Return the files in homes beside which a killed run left others."""
    return [
        fact for fact, found in observed.values.items() if isinstance(fact, HomeLeftovers) and found
    ]


def outdated(files: Sequence[HomeFile], observed: Observation) -> list[HomeFile]:
    """Return the files whose content or mode on the host differs."""
    return [file for file, _ in _steps(files, observed)]


def _steps(
    files: Sequence[HomeFile], observed: Observation
) -> Iterator[tuple[HomeFile, Found | None]]:
    """Yield the files to write, in order, each with the file that it replaces."""
    written: dict[HomeFact, Found | None] = {}
    for file in files:
        present = written[file.fact] if file.fact in written else observed[file.fact]
        desired = None if file.content is None else Found(file.mode, file.content)
        if present != desired:
            yield file, present
            written[file.fact] = desired


@dataclass(frozen=True)
class SystemFile:
    """A file that root owns and all can read. ``content`` is ``None`` if it must not exist."""

    path: str
    content: bytes | None
    mode: str = "644"

    @property
    def description(self) -> str | None:
        """The value of the `File` fact if the file is as desired."""
        if self.content is None:
            return None
        return f"{self.mode} root:root {sha256(self.content).hexdigest()}"


HERE = Path(__file__).parent
HOMES = UNPACK + shell(HERE / "homes.sh")
PLACE = shell(HERE / "scripts" / "place_file.sh")
STAGE = UNPACK + shell(HERE / "scripts" / "open_stage.sh")
"""Unpacks the archive on standard input into a directory that is removed when the script ends."""

OnSkip = Callable[[str, str, str], None]
"""Called for each home with ``changed`` or ``skipped`` if it was not written, with ``kept`` if own
entries of the user stay in place of links; then with the user and the reason."""


class WriteHomes(StringCommand):
    """A command that succeeds even if some homes could not be written, and reports these."""

    def __init__(self, text: str, stdin: str, on_skip: OnSkip) -> None:
        super().__init__(begin() + HOMES + text, _stdin=[stdin])
        self.on_skip = on_skip

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        succeeded, output = super().execute(state, host, connector_arguments)
        self.read_output(output.stdout_lines)
        return succeeded, output

    def read_output(self, lines: Iterable[str]) -> None:
        """Call ``on_skip`` for each home that the script reports."""
        for line in lines:
            match line.split("\t"):
                case ["changed" | "skipped" | "kept" as how, user, reason]:
                    self.on_skip(how, user, reason.strip())


def write(
    files: Sequence[HomeFile],
    observed: Observation,
    on_skip: OnSkip,
    *,
    first: SystemFile | None = None,
    links: Sequence[HomeLink] = (),
) -> Iterator[WriteHomes]:
    """Write the files that differ on the host, and then the links, in one exec, in that order.

    If there are any, ``first`` is written before them. A file that another program has changed
    since the survey, perhaps an hour ago, stays as it is.
    """
    members: list[Member] = []
    calls: dict[str, list[str]] = {}
    for file, present in _steps(files, observed):
        found = sha256(present.content).hexdigest() if present else "none"
        if file.content is None:
            words = ["remove", file.path, found]
        else:
            words = ["place", str(len(members)), file.path, found, file.mode]
            members.append(Member(str(len(members)), file.content, "600", file.user))
        calls.setdefault(file.user, []).append(shlex.join(words))
    for link in links:
        calls.setdefault(link.user, []).append(shlex.join(link.words))
    for user in {link.user for link in links}:
        calls[user].append("links_done")
    for left in leftovers(observed):
        calls.setdefault(left.user, []).append(shlex.join(["sweep", left.path]))
    if not calls:
        return
    before = ""
    if first and first.content is not None and outdated_system_files([first], observed):
        before = call("place", "first", first.mode, first.path)
        members.append(Member("first", first.content))
    places = "".join(call("as_user", user, "; ".join(lines)) for user, lines in calls.items())
    members.append(Member("places", places.encode(), "600"))
    text = PLACE + before + shell(HERE / "scripts" / "write_homes.sh")
    yield WriteHomes(text, pack(members), on_skip)


def install(
    files: Sequence[SystemFile], observed: Observation, *, first: str = "", then: str = ""
) -> Commands:
    """Run ``first``, write the files that differ on the host, run ``then``, in one exec."""
    changed = outdated_system_files(files, observed)
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
    yield script("".join([STAGE, PLACE, first, *places, then]), pack(members))


def outdated_system_files(files: Sequence[SystemFile], observed: Observation) -> list[SystemFile]:
    """Return the files that differ on the host."""
    return [file for file in files if observed[File(file.path)] != file.description]
