"""This machine as a host of the fleet, without SSH: pyinfra's connector for ``address: local``.

It is pyinfra's ``@local`` with what a fleet needs: the host has its name in the fleet file, large
files are copied in pieces, commands get no variable of the caller's shell, and Ctrl-C cuts none.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
from gevent import subprocess
from pyinfra.api import Host, StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.util import (
    CommandOutput,
    make_unix_command_for_host,
    read_output_buffers,
    write_stdin,
)

CONNECTOR = "mirrorfleet-local"
"""Name of the connector: an entry point of the package, in pyproject.toml."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PIECE = 1024**2

ASK_AGAIN = 60
"""Seconds between renewals of the login of sudo, which ends after minutes."""


class ThisMachine(LocalConnector):
    """Runs commands on this machine, as root by sudo or doas like any other host."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the host under its name in the fleet file."""
        yield str(name), {}, []

    def connect(self) -> None:
        """Ask for the password of sudo, if it needs one. Raises ``ConnectError`` without root."""
        authorize(self.host)

    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> tuple[bool, CommandOutput]:
        """Run a command. Returns whether it succeeded, and its output."""
        arguments.pop("_get_pty", None)
        timeout, stdin = arguments.pop("_timeout", None), arguments.pop("_stdin", None)
        accepted = arguments.pop("_success_exit_codes", None) or [0]
        unix_command = make_unix_command_for_host(self.state, self.host, command, **arguments)
        process = start(unix_command.get_raw_value())
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise OSError("the command has no pipes")
        # Beside the reading: a command that prints much before it reads would wait for ever.
        writer = gevent.spawn(_write, stdin, process.stdin)
        try:
            output = read_output_buffers(
                process.stdout,
                process.stderr,
                timeout=timeout,
                print_output=print_output,
                print_prefix=self.host.print_prefix,
            )
        finally:
            writer.kill()
        return process.wait() in accepted, output

    def put_file(
        self,
        filename_or_io: Any,
        remote_filename: str,
        remote_temp_filename: str | None = None,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Any,
    ) -> bool:
        """Copy a file in pieces, readable by the user of this run only."""
        if any(arguments.get(name) for name in ("_sudo", "_doas", "_su_user")):
            done: bool = super().put_file(
                filename_or_io, remote_filename, remote_temp_filename, print_output, **arguments
            )
            return done
        descriptor = os.open(remote_filename, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            if isinstance(filename_or_io, str | Path):
                with Path(filename_or_io).open("rb") as source:
                    shutil.copyfileobj(source, target, PIECE)
            else:
                filename_or_io.seek(0)
                while piece := filename_or_io.read(PIECE):
                    target.write(piece.encode() if isinstance(piece, str) else piece)
        return True


def authorize(host: Host) -> None:
    """Make sure that commands on a host on this machine can become root.

    If sudo needs a password, it asks for it itself, on the terminal, once: no other program learns
    it. Does nothing for other hosts. Raises ``ConnectError`` if there is no way to become root.
    """
    if not issubclass(host.connector_cls, ThisMachine):
        return
    known = host.connector_data
    if "refused" not in known:
        program = next((name for name in ("sudo", "doas") if host.data.get(f"_{name}")), None)
        known["refused"] = _refused(host.name, program) if program else ""
    if known["refused"]:
        raise ConnectError(known["refused"])


def _refused(name: str, program: str) -> str:
    """Return why a program does not make this user root, and the fix; "" if it does."""
    if not shutil.which(program, path=PATH):
        return f"this machine has no {program}. Run this command as root."
    if _runs(program, "-n", "true"):
        return ""
    fix = f"Run this command as root, or let {program} ask no password from you."
    if program == "doas" or not sys.stdin.isatty():
        return f"{program} needs a password. {fix}"
    print(f"{name} is this machine: sudo needs your password.", file=sys.stderr)
    if not _runs("sudo", "-v", quiet=False) or not _runs("sudo", "-n", "true"):
        return f"sudo refuses this user. {fix}"
    gevent.spawn(_stay_authorized)
    return ""


def _stay_authorized() -> None:
    while _runs("sudo", "-n", "-v"):
        gevent.sleep(ASK_AGAIN)


def _runs(*command: str, quiet: bool = True) -> bool:
    output = subprocess.DEVNULL if quiet else None
    try:
        return not subprocess.run(command, stdout=output, stderr=output).returncode
    except OSError:  # no such program
        return False


def start(command: str) -> subprocess.Popen[bytes]:
    """Start a command as SSH would: in the home directory, without the caller's variables.

    In a process group of its own, so that the terminal sends Ctrl-C to this program only: a
    script that changes the machine is not cut in the middle.
    """
    user = pwd.getpwuid(os.geteuid())
    home = user.pw_dir if Path(user.pw_dir).is_dir() else "/"
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=home,
        env={"PATH": PATH, "HOME": home, "USER": user.pw_name, "LOGNAME": user.pw_name},
        process_group=0,
    )


def _write(stdin: Any, pipe: Any) -> None:
    try:
        if stdin:
            write_stdin(stdin, pipe)  # type: ignore[no-untyped-call]
        pipe.close()
    except BrokenPipeError:  # the command ended without reading everything
        pass
