"""Machines that are often off: a run goes on without them, says so in one line, and succeeds.

This is pyinfra's connector for hosts with ``intermittent``. pyinfra itself counts every host that
it does not reach as failed.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from paramiko import ChannelException, SSHException
from paramiko.ssh_exception import NoValidConnectionsError
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.state import StateStage
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.sshuserclient.client import get_ssh_config

from mirrorfleet.runtime.change_summary import some

CONNECTOR = "mirrorfleet-intermittent"
"""Name of the connector: an entry point of the package, in pyproject.toml."""

OFFLINE = "offline"

SILENT = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN}
"""Errors of a connection to a machine that is off. One that refuses connections is on."""

NO_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}

CONNECT_FAILED = 2
"""The code with which a jump host says that it got no connection (RFC 4254, 5.1)."""


class Intermittent(SSHConnector):
    """SSH to a machine that may be off. It is tried once: another try would wait as long again."""

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        if "fail_hosts" not in vars(state):
            state.fail_hosts = partial(_fail, state)  # type: ignore[method-assign]
            logger.addFilter(_is_no_offline_host)

    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the host under its name in the fleet file."""
        yield name, {}, []

    def _connect(self) -> None:
        try:
            super()._connect()
        except (OSError, SSHException) as error:
            configuration = get_ssh_config(self.data["ssh_config_file"])
            way = configuration.lookup(self.data["ssh_hostname"]) if configuration else {}
            if reason := no_reply(error, is_direct=not {"proxyjump", "proxycommand"} & way.keys()):
                note(self.host, reason)
                raise ConnectError(f"{OFFLINE}: {reason}") from None
            raise


def no_reply(error: Exception, *, is_direct: bool) -> str:
    """Return why a machine seems to be off, "" for any other error of a connection.

    Errors of a connection via a jump host are that host's own, except for what it says itself.
    """
    if not is_direct:
        failed = isinstance(error, ChannelException) and error.code == CONNECT_FAILED
        is_late = isinstance(error, SSHException) and "Timeout opening channel" in str(error)
        return "no reply to its jump host" if failed or is_late else ""
    if isinstance(error, socket.gaierror):
        return "its address is not in DNS" if error.errno in NO_NAME else ""
    tried = error.errors.values() if isinstance(error, NoValidConnectionsError) else [error]
    if all(isinstance(each, TimeoutError) or _number(each) in SILENT for each in tried):
        return "no reply"
    return ""


def _number(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def note(host: Host, reason: str) -> None:
    """Note that a host is offline. `leave_out` takes it out of the run."""
    host.connector_data[OFFLINE] = reason


def is_offline(host: Host) -> bool:
    """Return whether a run found that an intermittent host is offline."""
    return OFFLINE in host.connector_data


def why_offline(host: Host) -> str:
    """Return why a run found that an intermittent host is offline, "" if it is not."""
    return str(host.connector_data.get(OFFLINE, ""))


def offline(state: State) -> Mapping[str, str]:
    """Return the hosts of a run that are offline, with the reasons."""
    return {host.name: host.connector_data[OFFLINE] for host in state.inventory if is_offline(host)}


def leave_out(state: State, hosts: Collection[Host]) -> None:
    """Take hosts that are offline out of a run, and say so: one line for each reason."""
    state.active_hosts -= set(hosts)
    names: dict[str, list[str]] = {}
    for host in state.inventory:
        if host in hosts:
            names.setdefault(host.connector_data[OFFLINE], []).append(host.name)
    for reason, found in names.items():
        logger.warning("%s", f"{OFFLINE}, left for a later run: {some(found)} ({reason})")


def _fail(state: State, hosts: set[Host], activated_count: int | None = None) -> None:
    """Do what pyinfra does with hosts that fail, except with those that are offline.

    They count for none of its limits: not for ``--fail-percent``, nor for its question whether to
    go on, nor as the last host.
    """
    away = {host for host in hosts if is_offline(host)}
    if away and state.current_stage == StateStage.Connect:
        leave_out(state, away)
    count = activated_count and activated_count - len(away)
    State.fail_hosts(state, hosts - away, count)  # type: ignore[no-untyped-call]


def _is_no_offline_host(record: logging.LogRecord) -> bool:
    """Return whether a record of pyinfra's log is not its own line about an offline host."""
    return record.funcName != "connect" or f"{OFFLINE}: " not in record.getMessage()
