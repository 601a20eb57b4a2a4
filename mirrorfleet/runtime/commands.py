"""The commands of operations: shell scripts that run as root, one at a time on a host."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from pathlib import Path
from typing import Any

import pyinfra.api
from pyinfra.api import Host, State
from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.connectors.util import CommandOutput

from mirrorfleet.runtime.applied import record
from mirrorfleet.runtime.shell import shell

Commands = Generator[PyinfraCommand, None, None]
"""The commands of an operation. Each runs after the one before it succeeded; none: no change."""


def operation(commands: Callable[..., Commands]) -> Callable[..., None]:
    """Return an operation for a function that yields commands. Each call needs a ``name``.

    A host takes part in it only if the function yields a command. An operation without effect costs
    pyinfra two milliseconds per host, which is most of the time of a run without changes. The
    survey decides the commands; they stay the same later in the run.
    """
    added: Callable[..., object] = pyinfra.api.operation()(commands)

    @wraps(commands)
    def add(*arguments: Any, name: str, _serial: bool = False, **named: Any) -> None:
        if any(True for _ in commands(*arguments, **named)):
            added(*arguments, name=name, _serial=_serial, **named)

    return add


SCRIPTS = Path(__file__).parent / "scripts"

LOCK_HOST = shell(SCRIPTS / "lock_host.sh")
"""The start of each script: it waits until no other script is changing the host."""


def begin() -> str:
    """Return the start of a script that changes a host: the lock, and who changes it."""
    return LOCK_HOST + record()


def script(text: str, stdin: str | None = None) -> StringCommand:
    """Return a shell script as a command. Pass secrets in ``stdin``, which is never printed."""
    if stdin is None:
        return StringCommand(begin() + text)
    return StringCommand(begin() + text, _stdin=[stdin])


def failing(reason: str) -> StringCommand:
    """Return a command that prints the reason and fails."""
    return StringCommand(shell(SCRIPTS / "fail.sh", reason=reason))


class VisibleCommand(StringCommand):
    """A long command whose output is printed as it arrives, at any verbosity."""

    def execute(self, state: State, host: Host, connector_arguments: Any) -> Any:
        connector_arguments.update(self.connector_arguments)
        try:
            succeeded, output = host.run_shell_command(
                self, print_output=True, **connector_arguments
            )
        except EOFError:  # pyinfra does not handle it
            raise OSError("the connection is lost") from None
        # The output is printed already: pyinfra would print it again for a failed command.
        return succeeded, output if succeeded else CommandOutput([])


def visible_script(text: str, stdin: str | None = None) -> StringCommand:
    """Return a shell script as a command whose output is printed as it arrives."""
    if stdin is None:
        return VisibleCommand(begin() + text)
    return VisibleCommand(begin() + text, _stdin=[stdin])
