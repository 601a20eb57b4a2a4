"""What an operation yields: shell scripts that run as root, one at a time on a host."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from pathlib import Path
from typing import Any

import pyinfra.api
from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.connectors.util import CommandOutput

from mirrorfleet.runtime.shell import shell

Commands = Generator[PyinfraCommand, None, None]
"""The commands of an operation, each sent when the one before it has succeeded; none: no change."""


def operation(commands: Callable[..., Commands]) -> Callable[..., None]:
    """Make an operation of a function that yields commands; each use gives it a ``name``.

    It becomes part of a run only for those hosts where it has something to do. An operation without
    effect costs pyinfra two milliseconds per host, which is most of what a run without changes
    would last. What is to be done is known from the survey, and the same later in the run.
    """
    added: Callable[..., object] = pyinfra.api.operation()(commands)

    @wraps(commands)
    def add(*arguments: Any, name: str, _serial: bool = False, **named: Any) -> None:
        if any(True for _ in commands(*arguments, **named)):
            added(*arguments, name=name, _serial=_serial, **named)

    return add


SCRIPTS = Path(__file__).parent / "scripts"

ALONE = shell(SCRIPTS / "alone.sh")
"""What goes before each script: one at a time changes a host."""


def script(text: str, stdin: str | None = None) -> StringCommand:
    """Return a shell script as a command. Secrets belong into ``stdin``, which is never printed."""
    if stdin is None:
        return StringCommand(ALONE + text)
    return StringCommand(ALONE + text, _stdin=[stdin])


def failing(reason: str) -> StringCommand:
    """Return a command that prints the reason and fails."""
    return script(shell(SCRIPTS / "fail.sh", reason=reason))


class Telling(StringCommand):
    """A command whose output a person sees as it comes, at any verbosity: it takes its time."""

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        connector_arguments.update(self.connector_arguments)
        try:
            succeeded, output = host.run_shell_command(
                self, print_output=True, **connector_arguments
            )
        except EOFError:  # which pyinfra does not expect of a connection that is lost
            raise OSError("the connection is lost") from None
        # It has been printed: pyinfra would print that of a failed command again.
        return succeeded, output if succeeded else CommandOutput([])


def telling(text: str, stdin: str | None = None) -> StringCommand:
    """Return a shell script that tells of its progress as it goes."""
    if stdin is None:
        return Telling(ALONE + text)
    return Telling(ALONE + text, _stdin=[stdin])
