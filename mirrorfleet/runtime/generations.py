"""Put a service's generation on a host and switch to it; go back where it does not serve."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.command import StringCommand

from mirrorfleet.runtime.commands import Commands, script, telling
from mirrorfleet.runtime.drift import has_served, is_listening, is_placed, is_started
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import UNPACK, pack
from mirrorfleet.runtime.reserved import RESERVE
from mirrorfleet.runtime.service import NEVER, Installed, Service
from mirrorfleet.runtime.shell import call, positional, shell

SCRIPTS = Path(__file__).parent / "scripts"

KEPT = 3
"""Generations that stay on the host for going back: first those that have served."""


def place(service: Service, observed: Observation) -> Commands:
    """Put the generation, checked, beside the one that runs. Nothing that runs is touched."""
    if is_placed(service, observed):
        return
    text = shell(
        SCRIPTS / "place_generation.sh",
        directory=service.directory,
        generation=service.generation,
        unit=service.unit_name,
        user=service.user,
        check_user=service.check_user or service.user,
    )
    yield script(UNPACK + RESERVE + positional(*service.check) + text, pack(service.members()))


def is_switched(service: Service, observed: Observation) -> bool:
    """Does the generation run, listen, and has it served, so that nothing is to be done?"""
    return all(holds(service, observed) for holds in (is_started, is_listening, has_served))


def switch(service: Service, observed: Observation, *, anew: bool = False) -> Commands:
    """Make the generation current, restart, wait until it serves; go back if it does not.

    ``anew`` is for what runs already, and has to start with something else.
    """
    if is_switched(service, observed) and not anew:
        return
    yield _switch(service, service.generation, activate=anew or not is_started(service, observed))


def stand_by(service: Service, observed: Observation) -> Commands:
    """Make the generation of a service that follows another host's current, and see that it runs.

    What it does goes on until that host wants something else of it. It proves itself afterwards.
    """
    if is_started(service, observed):
        return
    yield script(_begin(service) + call("activate", service.generation))


def stand_back(service: Installed) -> Commands:
    """Make the last other generation that has served current of a service that follows another.

    If that host goes back to something else, `back` finds it.
    """
    yield script(_begin(service) + shell(SCRIPTS / "stand_back.sh"))


def prove(service: Service, observed: Observation) -> Commands:
    """Put on record that what stood by has been wanted by that host, or go back with it."""
    if not is_switched(service, observed):
        yield _switch(service, service.generation, activate=False)


def back(service: Installed) -> Commands:
    """Make the last other generation that has served current again; return if it fails.

    One that follows makes current what it has been led back to.
    """
    yield _switch(service, "", activate=True)


def _switch(service: Installed, generation: str, *, activate: bool) -> StringCommand:
    """Return the command that switches to a generation; "" is the one to roll back to."""
    switch = shell(
        SCRIPTS / "switch.sh",
        generation=generation,
        activates="yes" if activate else "no",
        follows=service.follows,
        software=service.software or "",
        kept=KEPT,
        never=NEVER,
    )
    hooks = shell(SCRIPTS / "hooks.sh") + service.hooks
    return telling(RESERVE + _begin(service) + hooks + switch)


def _begin(service: Installed) -> str:
    """Return the functions with which a generation is made current."""
    return shell(
        SCRIPTS / "generation.sh",
        directory=service.directory,
        unit=service.unit_name,
        restart="start" if service.follows else service.restart,
        held=service.held,
        seconds=service.seconds,
    )
