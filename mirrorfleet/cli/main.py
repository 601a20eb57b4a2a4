"""The entry point: how a command ends. Little is imported before, so that Ctrl-C works early."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code.

    0: success; 1: a mistake or a failure, which is printed; 2: misuse; 130: interrupted.
    """
    import click

    from mirrorfleet.cli.commands import group

    try:
        code: int = group.main(arguments, prog_name="mirrorfleet", standalone_mode=False)
    except click.Abort:
        click.echo("mirrorfleet: interrupted", err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        click.echo(_misuse(error), err=True)
        return error.exit_code
    return code


def _misuse(error: click.ClickException) -> str:
    """Return the message of a misuse: the command, the mistake, and one fix."""
    context = getattr(error, "ctx", None)  # only a UsageError has one
    command = context.command_path if context else "mirrorfleet"
    message = error.format_message()
    message = f"{command}: {message[:1].lower()}{message[1:]}"
    suggested = "Did you mean" in message or "`" in message
    return message if suggested else f"{message} See `{command} --help`."


def run() -> None:
    """Run the command of this process, and end it with the command's exit code."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        # Python flushes standard output once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except KeyboardInterrupt:  # during an import
        code = 130
    sys.exit(code)
