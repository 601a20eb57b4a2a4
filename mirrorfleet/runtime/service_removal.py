"""Services that are on a host and in its plan no more: stopped and removed, their software kept."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch

from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.deferred_removal import absent, last
from mirrorfleet.runtime.observe import Observation, Question
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.reserved import AGAIN


def question(names: str) -> Question:
    """Return what must be asked of a host to know its services of such names, as "vllm-*"."""
    return ("services", names)


def departed(names: str, wanted: Iterable[str], seen: Observation) -> list[str]:
    """Return the services of such names that the host has and is to have no more."""
    return sorted({each for each in seen.services if fnmatch(each, names)} - set(wanted))


def changes(services: Iterable[str]) -> Iterator[Change]:
    """Yield the services that will go, or why they do not yet."""
    services = list(services)
    waits = absent() if services else []
    for name in services:
        unit = f"mirrorfleet-{name}.service"
        if waits:
            yield Change(f"{unit} will be removed once {', '.join(waits)} take part in a run")
        else:
            yield Change(f"{unit} will be stopped and removed")


KEPT = ("environments", "releases", "models.json")
"""What stays of a service: its software, and the list of an Ollama's models."""

# A service that cannot be stopped keeps all that it has, and the next run tries again. Secrets go
# with the generations; software and models stay for whoever comes back.
REMOVE = """\
for name in {names}; do
    unit=mirrorfleet-$name.service
    systemctl --quiet disable --now mirrorfleet-$name.timer 2>/dev/null || true
    systemctl --quiet stop $unit 2>/dev/null || true
    if systemctl --quiet is-active $unit; then
        echo "$unit cannot be stopped" >&2
        exit 1
    fi
    systemctl --quiet disable $unit 2>/dev/null || true
    rm -rf /etc/systemd/system/$unit /etc/systemd/system/$unit.d
    rm -f /etc/systemd/system/mirrorfleet-$name.timer
    for image in {root}/$name/images/*; do # what others run from stays
        [ -f "$image" ] || continue
        docker rm --force "mirrorfleet-$name" >/dev/null 2>&1 || true
        docker image rm "$(cat "$image")" >/dev/null 2>&1 || true
    done
    [ ! -d {root}/$name ] || find {root}/$name -mindepth 1 -maxdepth 1 {kept} -exec rm -rf {{}} +
    rm -rf {state}/$name/cache
    rmdir {root}/$name 2>/dev/null || true
done
systemctl daemon-reload
{reserve}
"""


def remove(services: Iterable[str]) -> Commands:
    """Stop the services and remove them, once nobody asks them any more."""
    if names := list(services):
        text = REMOVE.format(
            names=" ".join(map(shlex.quote, names)),
            root=ROOT,
            state=STATE,
            reserve=AGAIN,
            kept=" ".join(f"! -name {name}" for name in KEPT),
        )
        yield from last([script(text)])
