"""The removal of services that are no longer in a host's plan. Their software stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.deferred_removal import absent_hosts, after_dependents
from mirrorfleet.runtime.facts import Services
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.reserved import RESERVE
from mirrorfleet.runtime.shell import positional, shell


def removed(names: str, desired: Iterable[str], observed: Observation) -> list[str]:
    """Return the host's services that match the pattern ``names`` and are not desired."""
    return sorted(observed[Services(names)] - set(desired))


def changes(services: Iterable[str]) -> Iterator[Change]:
    """Yield the services that will be removed now or later."""
    services = list(services)
    missing = absent_hosts() if services else []
    for name in services:
        unit = f"mirrorfleet-{name}.service"
        if missing:
            yield Change(f"{unit} will be removed once {', '.join(missing)} take part in a run")
        else:
            yield Change(f"{unit} will be stopped and removed")


SCRIPTS = Path(__file__).parent / "scripts"


def remove(services: Iterable[str]) -> Commands:
    """Stop and remove the services, after all hosts that depend on them."""
    if names := list(services):
        text = RESERVE + positional(*names) + shell(SCRIPTS / "remove_services.sh")
        yield from after_dependents([script(text)])
