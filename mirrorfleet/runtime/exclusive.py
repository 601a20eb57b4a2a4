"""One run at a time changes a host: the second waits, and says for whom.

A command on each host that a run will change holds a lock until its standard input ends. The SSH
connection of a controller that died closes it. A controller that lost its network is silent, which
ends the lock as well. Each script has a lock of its own besides: see lock_host.sh.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import gevent
from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import Host, State, StringCommand
from pyinfra.api.exceptions import DeployError
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import make_unix_command_for_host

from mirrorfleet.runtime import local, run
from mirrorfleet.runtime.applied import applied
from mirrorfleet.runtime.shell import shell

SCRIPT = Path(__file__).parent / "scripts" / "hold_host.sh"

BEAT = 30
"""Seconds between the signs of life of a controller."""

SIGN = b"here\n"
"""A sign of life: a line that is not empty."""

SILENCE = 600
"""Seconds without one after which a host is free again."""

ANSWER = 60
"""Seconds until a host says whether it is free."""

PATIENCE = 3600
"""Seconds that a run waits for others."""

GREETING = 200
"""Lines that a login shell may print before the answer."""

PAUSE = 2.0
"""Seconds between attempts, up to twice as many: two runs must not meet for ever."""


class Stream(Protocol):
    """A pipe or a channel."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...
    def readline(self) -> bytes | str: ...
    def close(self) -> object: ...


@dataclass
class Held:
    """The answer of a host: who holds it instead of this run, or "" and when it last changed.

    ``stdin`` holds the lock until it is closed, and ``stdout`` must stay open with it. A host whose
    lock ``is_lost`` may be changed by another run.
    """

    holder: str
    idle: int
    stdin: Stream
    stdout: Stream
    is_lost: bool = False

    def release(self) -> None:
        """Let another run change the host."""
        self.stdin.close()
        self.stdout.close()


def take(state: State, hosts: Sequence[Host]) -> list[Host]:
    """Hold all hosts until this program ends; return those that others changed since the survey.

    A run that cannot have all of them holds none while it waits, so two runs never wait for each
    other. Raises ``DeployError`` after an hour.
    """
    waited: dict[Host, None] = {}
    reported: dict[str, str] = {}
    end = time.monotonic() + PATIENCE
    while busy := _attempt(state, hosts):
        waited.update(dict.fromkeys(busy))
        _report(busy, reported)
        while still := {host: holder for host in busy if (holder := _holder(state, host))}:
            _report(still, reported)
            if time.monotonic() > end:
                host, holder = next(iter(still.items()))
                raise DeployError(
                    f"{host.name} is still being changed by {holder}: nothing was changed. "
                    "Wait for that run, or end it, then run again."
                )
            gevent.sleep(random.uniform(PAUSE, 2 * PAUSE))
    now = time.time()
    changed = [
        host
        for host, held in _holding().items()
        if (seen := run.observed_on(host)) and held.idle <= now - seen.during[0] + 1
    ]
    return [host for host in hosts if host in waited or host in changed]


def assert_held() -> None:
    """Raise ``DeployError`` if this run has lost its lock of a host, before it changes any."""
    if lost := [host.name for host, held in _holding().items() if held.is_lost]:
        raise DeployError(
            f"the connection to {', '.join(lost)} was lost meanwhile, and another run may have "
            "changed what this one has read: nothing was changed. Run again."
        )


def _attempt(state: State, hosts: Sequence[Host]) -> Mapping[Host, str]:
    """Hold all hosts, or none; return the holders of those that are busy."""
    jobs = {host: state.fact_pool.spawn(_open, host) for host in hosts}
    gevent.joinall(list(jobs.values()), raise_error=True)
    found = {host: job.value for host, job in jobs.items() if job.value}
    busy = {host: held.holder for host, held in found.items() if held.holder}
    for host, held in found.items():
        if busy:
            held.release()
        else:
            _holding()[host] = held
    if not busy and found:
        gevent.spawn(_beat, list(found.values()))
    return busy


def _holder(state: State, host: Host) -> str:
    job = state.fact_pool.spawn(_open, host)
    held: Held | None = job.get()
    if held:
        held.release()
    return held.holder if held else ""


def _report(busy: Mapping[Host, str], reported: dict[str, str]) -> None:
    for host, holder in busy.items():
        if reported.get(host.name) != holder:
            reported[host.name] = holder
            logger.warning("%s: waiting for the run of %s", host.name, holder)


def _holding() -> dict[Host, Held]:
    found: dict[Host, Held] = run.current().once(take, dict)
    return found


def _beat(held: Sequence[Held]) -> None:
    while True:
        gevent.sleep(BEAT)
        for each in held:
            try:
                each.stdin.write(SIGN)
                each.stdin.flush()
            except (OSError, EOFError, ValueError):  # closed: the connection has ended
                each.is_lost = True


def _open(host: Host) -> Held | None:
    """Ask a host whether it is free, and hold it then; ``None`` if its connector has no streams.

    A host that does not answer as expected counts as free: the run's own scripts report why.
    """
    command = make_unix_command_for_host(
        host.state,
        host,
        StringCommand(shell(SCRIPT, holder=applied().by, silence=SILENCE)),
        _sudo=bool(host.data.get("_sudo")),
        _doas=bool(host.data.get("_doas")),
    ).get_raw_value()
    try:
        if not (streams := _streams(host, command)):
            return None
        stdin, stdout = streams
        for _ in range(GREETING):
            line = _text(stdout.readline())
            answer, _, detail = line.rstrip("\n").partition("\t")
            if not line or answer in ("held", "busy"):
                break
    except (OSError, EOFError, SSHException):
        return None
    if answer == "busy":
        return Held(detail or "an unknown person", 0, stdin, stdout)
    idle = int(detail) if answer == "held" and detail.isdigit() else PATIENCE
    return Held("", idle, stdin, stdout)


def _streams(host: Host, command: str) -> tuple[Stream, Stream] | None:
    """Start a command on a host; return its standard input and output."""
    if issubclass(host.connector_cls, local.ThisMachine):
        process = local.start(command)
        if process.stdin and process.stdout:
            return process.stdin, process.stdout
    if isinstance(host.connector, SSHConnector) and host.connector.client:
        stdin, stdout, _ = host.connector.client.exec_command(command, timeout=ANSWER)
        return stdin, stdout
    return None


def _text(line: bytes | str) -> str:
    return line.decode("utf-8", "replace") if isinstance(line, bytes) else line
