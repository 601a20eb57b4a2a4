"""Single files on a host, written in one exec: each beside its place, then renamed into it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from roles.host.commands import Commands, script
from roles.host.observe import HomeFile as Found
from roles.host.observe import Observation
from roles.host.payload import UNPACK, Member, pack


@dataclass(frozen=True)
class HomeFile:
    """A file below a user's home, written by that user. ``path`` is relative to the home."""

    user: str
    path: str
    content: bytes
    mode: str = "600"

    def how(self, there: Found | None) -> str:
        """Say how what is ``there`` differs from this file."""
        if there is None:
            return "is missing"
        if there.content == self.content:
            return f"has mode {there.mode}, not {self.mode}"
        return "differs"


def outdated(files: Sequence[HomeFile], seen: Observation) -> list[HomeFile]:
    """Return the files whose content or mode on the host differs."""
    return [
        file
        for file in files
        if (there := seen.home_files.get((file.user, file.path))) is None
        or (there.content, there.mode) != (file.content, file.mode)
    ]


# The user's own shell writes, so neither a link nor a strange owner in the home can make root
# write elsewhere. A file that is itself a link, as dotfile managers make them, is followed.
PLACE = """\
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
(cd "$stage" && {unpack})
write='set -eu; umask 077; cd "$1"; mkdir -p "$(dirname "$2")"; to=$(readlink -f "$2")
cat >"$to.mirrorfleet"; chmod "$3" "$to.mirrorfleet"; mv -f "$to.mirrorfleet" "$to"'
place() {{
    home=$(getent passwd "$2" | cut -d : -f 6)
    runuser -u "$2" -- sh -c "$write" sh "$home" "$3" "$4" <"$stage/$1"
}}
{places}
"""


def write(files: Sequence[HomeFile], seen: Observation) -> Commands:
    """Write the files that differ on the host, in one exec."""
    changed = outdated(files, seen)
    if not changed:
        return
    members = [Member(str(index), file.content, "600") for index, file in enumerate(changed)]
    places = [
        shlex.join(["place", str(index), file.user, file.path, file.mode])
        for index, file in enumerate(changed)
    ]
    yield script(PLACE.format(unpack=UNPACK, places="\n".join(places)), pack(members))
