"""Install a generation of a service on a host and switch to it; roll back if it is not ready."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.command import StringCommand

from mirrorfleet.runtime import cli_options
from mirrorfleet.runtime.commands import Commands, script, visible_script
from mirrorfleet.runtime.drift import is_listening, is_placed, is_started, is_verified
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import UNPACK, pack
from mirrorfleet.runtime.reserved import RESERVE
from mirrorfleet.runtime.service import NEVER, Installed, Service
from mirrorfleet.runtime.shell import call, positional, shell

SCRIPTS = Path(__file__).parent / "scripts"

KEPT = 3
"""Generations that stay on the host for a rollback, verified ones first."""


def stage(service: Service, observed: Observation) -> Commands:
    """Write the generation beside the running one, and check it. What runs is unaffected."""
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
    """Return whether the generation is running, listening and verified: nothing must be done."""
    return all(test(service, observed) for test in (is_started, is_listening, is_verified))


def switch(service: Service, observed: Observation, *, restart: bool = False) -> Commands:
    """Make the generation current, restart, wait until it is ready; roll back if it is not.

    ``restart`` restarts a generation that is running already, together with another service.
    """
    if is_switched(service, observed) and not restart:
        return
    activate = restart or not is_started(service, observed)
    yield _switch(service, service.generation, activate=activate)


def activate_follower(service: Service, observed: Observation) -> Commands:
    """Make the generation of a follower current, and start the follower unless it is running.

    Its process runs on until the leading host requests another generation; verify it afterwards.
    """
    if is_started(service, observed):
        return
    yield script(_begin(service) + call("activate", service.generation))


def prepare_rollback(service: Installed) -> Commands:
    """Make the last other verified generation of a follower current, before its leader rolls back.

    If the leader rolls back to another one, `roll_back` finds that.
    """
    yield script(_begin(service) + shell(SCRIPTS / "activate_previous.sh"))


def verify_follower(service: Service, observed: Observation) -> Commands:
    """Record that the leader requested the follower's generation, or roll back with the leader."""
    if not is_switched(service, observed):
        yield _switch(service, service.generation, activate=False)


def roll_back(service: Installed) -> Commands:
    """Make the last other verified generation current; if it fails, return to the present one.

    A follower makes the generation current that its leader has rolled back to.
    """
    yield _switch(service, "", activate=True)


def return_to(service: Installed, generation: str, rejected: str) -> Commands:
    """Make a former generation current again. The ``rejected`` one no longer counts as verified."""
    yield _switch(service, generation, activate=True)
    yield script(call("rm", "-f", f"{service.verified}/{rejected}"))


def _switch(service: Installed, generation: str, *, activate: bool) -> StringCommand:
    """Return the command that switches to a generation; "" is the last other verified one."""
    switch = shell(
        SCRIPTS / "switch.sh",
        generation=generation,
        activates="yes" if activate else "no",
        follows=service.follows,
        software=service.software or "",
        kept=KEPT,
        never=NEVER,
        accepted="yes" if cli_options.option("cache_loss") == "accepted" else "",
    )
    hooks = shell(SCRIPTS / "hooks.sh") + service.hooks
    return visible_script(RESERVE + _begin(service) + hooks + switch)


def _begin(service: Installed) -> str:
    """Return the shell functions that make a generation current."""
    return shell(
        SCRIPTS / "generation.sh",
        directory=service.directory,
        unit=service.unit_name,
        restart="start" if service.follows else service.restart,
        draining=service.draining,
        seconds=service.seconds,
    )
