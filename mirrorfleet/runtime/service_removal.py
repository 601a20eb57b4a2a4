"""Services that are on a host and in its plan no more: stopped and removed, their software kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.deferred_removal import absent, last
from mirrorfleet.runtime.facts import Services
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.reserved import RESERVE
from mirrorfleet.runtime.shell import positional, shell


def departed(names: str, wanted: Iterable[str], observed: Observation) -> list[str]:
    """Return the services of such names that the host has and is to have no more."""
    return sorted(observed[Services(names)] - set(wanted))


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


SCRIPTS = Path(__file__).parent / "scripts"


def remove(services: Iterable[str]) -> Commands:
    """Stop the services and remove them, once nobody asks them any more."""
    if names := list(services):
        text = RESERVE + positional(*names) + shell(SCRIPTS / "remove_services.sh")
        yield from last([script(text)])
