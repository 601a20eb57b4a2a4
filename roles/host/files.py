"""Single files on a host, written in one exec: each beside its place, then renamed into it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from roles.host.commands import Commands, script
from roles.host.observe import HomeFile as Found
from roles.host.observe import Observation
from roles.host.payload import UNPACK, Member, pack


@dataclass(frozen=True)
class HomeFile:
    """A file below a user's home, written by that user. ``path`` is relative to the home.

    ``content`` is ``None`` where no file is to be.
    """

    user: str
    path: str
    content: bytes | None
    mode: str = "600"

    def how(self, there: Found | None) -> str:
        """Say how what is ``there`` differs from this file."""
        if self.content is None:
            return "will be removed"
        if there is None:
            return "is missing"
        if there.content == self.content:
            return f"has mode {there.mode}, not {self.mode}"
        return "differs"


def outdated(files: Sequence[HomeFile], seen: Observation) -> list[HomeFile]:
    """Return the files whose content or mode on the host differs."""
    return [file for file, _ in _steps(files, seen)]


def _steps(files: Sequence[HomeFile], seen: Observation) -> Iterator[tuple[HomeFile, Found | None]]:
    """Yield the files to be written one after another, each with what stands there by then."""
    written: dict[tuple[str, str], Found | None] = {}
    for file in files:
        place = (file.user, file.path)
        there = written[place] if place in written else seen.home_files.get(place)
        wanted = None if file.content is None else Found(file.mode, file.content)
        if there != wanted:
            yield file, there
            written[place] = wanted


@dataclass(frozen=True)
class SystemFile:
    """A file of root's that all may read; ``content`` is ``None`` where no file is to be."""

    path: str
    content: bytes | None
    mode: str = "644"


# The user's own shell writes, so neither a link nor a strange owner in the home can make root
# write elsewhere. A file that is itself a link, as dotfile managers make them, is followed as long
# as it stays in the home. One that has changed since it was looked at, perhaps an hour ago, is left
# alone. What goes wrong in one home stops nothing in the others. The places are a file of the
# archive: those of many users would be too long for a command line.
PLACE = """\
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
(cd "$stage" && {unpack})
chmod 711 "$stage"
as='set -eu; umask 077; cd "${{1:?no home}}"; stage=$2
reach() {{
    case $1 in */*) [ -d "${{1%/*}}" ] || mkdir -p "${{1%/*}}" ;; esac
    to=$(readlink -f "$1")
    case $to in
        "$(pwd -P)"/*) ;;
        *) echo "$PWD/$1 leads out of the home, to $to" >&2; exit 1 ;;
    esac
    now=none
    [ ! -e "$to" ] || {{ now=$(sha256sum <"$to"); now=${{now%% *}}; }}
    [ "$now" = "$2" ] || {{ echo "$PWD/$1 was changed meanwhile; run again" >&2; exit 1; }}
    rm -f "$to".mirrorfleet.* # of a run that was cut
}}
place() {{
    reach "$2" "$3"
    new=$(mktemp "$to.mirrorfleet.XXXXXX"); trap "rm -f \\"\\$new\\"" EXIT
    cat "$stage/$1" >"$new"; chmod "$4" "$new"; mv -fT "$new" "$to"
}}
remove() {{ reach "$1" "$2"; rm -f "$to"; }}
'
as_user() {{
    home=$(getent passwd "$1" | cut -d : -f 6)
    runuser -u "$1" -- sh -c "$as$2" sh "$home" "$stage"
}}
place() {{
    install -D -m "$2" -o root -g root "$stage/$1" "$3.mirrorfleet"
    mv -fT "$3.mirrorfleet" "$3"
}}
{first}
failed=0
. "$stage/places"
exit "$failed"
"""


def write(
    files: Sequence[HomeFile], seen: Observation, *, first: SystemFile | None = None
) -> Commands:
    """Write the files that differ on the host, in one exec, in the order given.

    If any does, ``first`` is written before them.
    """
    members: list[Member] = []
    calls: dict[str, list[str]] = {}
    for file, there in _steps(files, seen):
        found = sha256(there.content).hexdigest() if there else "none"
        if file.content is None:
            call = ["remove", file.path, found]
        else:
            call = ["place", str(len(members)), file.path, found, file.mode]
            members.append(Member(str(len(members)), file.content, "600", file.user))
        calls.setdefault(file.user, []).append(shlex.join(call))
    if not calls:
        return
    before = ""
    if first and first.content is not None and unlike([first], seen):
        before = shlex.join(["place", "first", first.mode, first.path])
        members.append(Member("first", first.content))
    places = "".join(
        f"{shlex.join(['as_user', user, '; '.join(each)])} || failed=1\n"
        for user, each in calls.items()
    )
    members.append(Member("places", places.encode(), "600"))
    yield script(PLACE.format(unpack=UNPACK, first=before), pack(members))


# A reader finds the old file or the new one, whole; the name in between is one that nobody reads.
INSTALL = """\
umask 022
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
(cd "$stage" && {unpack})
place() {{
    install -D -m "$2" -o root -g root "$stage/$1" "$3.mirrorfleet"
    mv -fT "$3.mirrorfleet" "$3"
}}
{places}
"""


def install(
    files: Sequence[SystemFile], seen: Observation, *, first: str = "", then: str = ""
) -> Commands:
    """Run ``first``, write the files that differ on the host, run ``then``: all in one exec."""
    changed = unlike(files, seen)
    if not changed:
        if around := "\n".join(filter(None, [first, then])):
            yield script(f"{around}\n")
        return
    members, places = [], [first]
    for index, file in enumerate(changed):
        if file.content is None:
            places.append(shlex.join(["rm", "-f", file.path]))
        else:
            members.append(Member(str(index), file.content))
            places.append(shlex.join(["place", str(index), file.mode, file.path]))
    places.append(then)
    yield script(INSTALL.format(unpack=UNPACK, places="\n".join(places)), pack(members))


def unlike(files: Sequence[SystemFile], seen: Observation) -> list[SystemFile]:
    """Return the files that differ on the host."""
    return [file for file in files if seen.files.get(file.path) != _as_seen(file)]


def _as_seen(file: SystemFile) -> str | None:
    """Return what observe.sh's ``tree`` says of a file that is right."""
    if file.content is None:
        return None
    return f"{file.mode} root:root {sha256(file.content).hexdigest()}"
