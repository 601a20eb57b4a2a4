"""SSH logins as the operator, with the real key and strict host key checking."""

import subprocess
import time

from . import keys, nspawn
from .hosts import Host
from .terminal import LabError

# Seconds. A loaded machine boots a hundred hosts in less time.
_TIMEOUT = 180

# A host that does not exist, or that dies meanwhile, must not block the driver.
_OPTIONS = (
    "-o", "BatchMode=yes",
    "-o", "ConnectTimeout=2",
    "-o", "ServerAliveInterval=3",
    "-o", "LogLevel=ERROR",
)  # fmt: skip


def answers(host: Host) -> bool:
    """Return whether the operator can log in to the host."""
    return _error(host) is None


def wait(host: Host) -> None:
    """Wait until the operator can log in to the host. Raise ``LabError`` if that fails."""
    deadline = time.monotonic() + _TIMEOUT
    while error := _error(host):
        if not nspawn.running(host):
            raise LabError(
                f"{host.name} died while booting; the last lines of its console:\n{_console(host)}"
            )
        if "Permission denied" in error or "verification failed" in error:
            raise LabError(
                f"{host.name} does not accept the keys in {keys.IDENTITY.parent}: another copy of "
                f"the project may have booted it. Run bin/lab down, then bin/lab up. ({error})"
            )
        if time.monotonic() > deadline:
            raise LabError(f"cannot log in to {host.name} after {_TIMEOUT} s: {error}")
        time.sleep(0.1)


def _error(host: Host) -> str | None:
    """Return the error of a login, or ``None``."""
    command = keys.ssh(host.name, ["true"], *_OPTIONS)
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return None if done.returncode == 0 else done.stderr.strip() or "ssh printed no error"


def _console(host: Host) -> str:
    lines = nspawn.console(host).read_text(errors="replace").splitlines()
    return "\n".join(lines[-15:])
