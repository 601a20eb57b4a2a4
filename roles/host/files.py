"""Single files on a host, written in one exec: each beside its place, then renamed into it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
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
    return [file for file in files if _differs(file, seen)]


def _differs(file: HomeFile, seen: Observation) -> bool:
    there = seen.home_files.get((file.user, file.path))
    if there is None or file.content is None:
        return there is not None or file.content is not None
    return (there.content, there.mode) != (file.content, file.mode)


# The user's own shell writes, so neither a link nor a strange owner in the home can make root
# write elsewhere. A file that is itself a link, as dotfile managers make them, is followed as long
# as it stays in the home. One that has changed since it was looked at, perhaps an hour ago, is left
# alone. What goes wrong in one home stops nothing in the others.
PLACE = """\
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
(cd "$stage" && {unpack})
find='set -eu; umask 077; cd "$1"; mkdir -p "$(dirname "$2")"; to=$(readlink -f "$2")
case $to in "$(pwd -P)"/*) ;; *) echo "$1/$2 leads out of the home, to $to" >&2; exit 1 ;; esac
now=none; [ ! -e "$to" ] || now=$(sha256sum <"$to" | cut -d " " -f 1)
[ "$now" = "$3" ] || {{ echo "$1/$2 was changed meanwhile; run again" >&2; exit 1; }}'
write="$find"'
new=$(mktemp "$to.XXXXXX"); cat >"$new"; chmod "$4" "$new"; mv -fT "$new" "$to"'
as_user() {{
    runuser -u "$2" -- sh -c "$1" sh "$(getent passwd "$2" | cut -d : -f 6)" "$3" "$4" "${{5-}}"
}}
place() {{ as_user "$write" "$2" "$3" "$4" "$5" <"$stage/$1"; }}
remove() {{ as_user "$find; rm -f \\"\\$to\\"" "$1" "$2" "$3"; }}
failed=0
{places}
exit "$failed"
"""


def write(files: Sequence[HomeFile], seen: Observation) -> Commands:
    """Write the files that differ on the host, in one exec, in the order given."""
    changed = outdated(files, seen)
    if not changed:
        return
    members: list[Member] = []
    calls: dict[str, list[str]] = {}
    for index, file in enumerate(changed):
        found = _digest(seen.home_files.get((file.user, file.path)))
        if file.content is None:
            call = ["remove", file.user, file.path, found]
        else:
            members.append(Member(str(index), file.content, "600"))
            call = ["place", str(index), file.user, file.path, found, file.mode]
        calls.setdefault(file.user, []).append(shlex.join(call))
    places = "\n".join(f"{{ {' && '.join(each)}; }} || failed=1" for each in calls.values())
    yield script(PLACE.format(unpack=UNPACK, places=places), pack(members))


def _digest(there: Found | None) -> str:
    return sha256(there.content).hexdigest() if there else "none"


@dataclass(frozen=True)
class SystemFile:
    """A file of root's that all may read; ``content`` is ``None`` where no file is to be."""

    path: str
    content: bytes | None
    mode: str = "644"


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
