"""Whether a host lets its operator in: the real login, with the real key and the strict check."""

import subprocess
import time

from . import keys, nspawn
from .hosts import Host
from .terminal import LabError

# A loaded machine boots a hundred hosts in well under this.
_PATIENCE = 180

# A host that is not there, or vanishes in the middle, must not hold us up.
_OPTIONS = (
    "-o", "BatchMode=yes",
    "-o", "ConnectTimeout=2",
    "-o", "ServerAliveInterval=3",
    "-o", "LogLevel=ERROR",
)  # fmt: skip


def answers(host: Host) -> bool:
    """Whether the host lets its operator in now."""
    return _complaint(host) is None


def wait(host: Host) -> None:
    """Return when the host lets its operator in; raise LabError when it will not."""
    deadline = time.monotonic() + _PATIENCE
    while complaint := _complaint(host):
        if not nspawn.running(host):
            raise LabError(
                f"{host.name} died while booting; the end of its console:\n{_console(host)}"
            )
        if "Permission denied" in complaint or "verification failed" in complaint:
            raise LabError(
                f"{host.name} runs, but not with the keys in {keys.IDENTITY.parent}: another copy "
                f"of the project may have made it. Take the lab down and up again. ({complaint})"
            )
        if time.monotonic() > deadline:
            raise LabError(f"{host.name} does not let us in after {_PATIENCE} s: {complaint}")
        time.sleep(0.1)


def _complaint(host: Host) -> str | None:
    """What keeps us out, if anything."""
    command = keys.ssh(host.name, ["true"], *_OPTIONS)
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return None if done.returncode == 0 else done.stderr.strip() or "ssh says nothing"


def _console(host: Host) -> str:
    lines = nspawn.console(host).read_text(errors="replace").splitlines()
    return "\n".join(lines[-15:])
