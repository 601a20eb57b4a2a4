"""What is done on a host before weights arrive and when all of them have, wherever they come from.

They arrive in a directory beside their place, in which all that is right already is linked; its
name is changed when every file in it has been proved.
"""

from __future__ import annotations

from mirrorfleet.roles.vllm.render import whole

# What is right is told by its size, as it was when these weights were proved.
BEGIN = """\
mkdir -p {part}
if [ -f {place}/.mirrorfleet/sizes ]; then
    cd {place}
    find . -type f -printf '%s %P\\n' | {{ grep -xFf .mirrorfleet/sizes || true; }} |
        while read -r _ name; do
            mkdir -p "{part}/$(dirname "$name")"
            ln -f "$name" "{part}/$name"
        done
    cd /
fi
"""

ACCEPT = """\
rm -rf {part}/.cache
chown -R root:root {part}
chmod -R u=rwX,go=rX {part}
{prove} || {{ echo "these weights are not accepted; what was right of them stays" >&2; exit 1; }}
(cd {part} && find . -type f ! -path './.mirrorfleet/*' -printf '%s %P\\n' | LC_ALL=C sort) \\
    >{part}/.mirrorfleet/sizes
sync -f {part}
rm -rf {place}.old
[ ! -e {place} ] || mv -T {place} {place}.old
mv -T {part} {place}
rm -rf {place}.old
"""


def begin(place: str) -> str:
    """Return a script that opens the directory in which weights for ``place`` arrive."""
    return BEGIN.format(place=place, part=f"{place}.part")


def accept(place: str, mode: str) -> str:
    """Return a script that proves the weights that have arrived and puts them in their place.

    ``mode`` is whole.py's: "accept" reads all of them, "check" what nobody has read before.
    """
    part = f"{place}.part"
    return ACCEPT.format(place=place, part=part, prove=whole(mode, part))
