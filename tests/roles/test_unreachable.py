"""Hosts that are not reached: each cause with one fix."""

from __future__ import annotations

import errno
import os

import pytest
from paramiko.ssh_exception import NoValidConnectionsError
from pyinfra.api.exceptions import ConnectError

from mirrorfleet.runtime.unreachable import cause, tried

DATA = {"ssh_hostname": "10.0.3.21", "ssh_user": "deploy", "ssh_port": 2222}


@pytest.mark.parametrize(
    ("error", "data", "expected"),
    [
        (
            "SSH error (StrictPolicy: No host key for [10.0.3.21]:2222 found in known_hosts)",
            {**DATA, "ssh_known_hosts_file": "/fleet/prod.known_hosts"},
            "the host key of [10.0.3.21]:2222 is not in /fleet/prod.known_hosts. Run: ssh-keyscan "
            "-p 2222 10.0.3.21 >>/fleet/prod.known_hosts; then compare the fingerprint with the "
            "host's own.",
        ),
        (
            "SSH host key error (Host key for 10.0.3.21 does not match.)",
            DATA,
            "the host key of 10.0.3.21 is not the one in ~/.ssh/known_hosts. If the host was "
            "installed again, run: ssh-keygen -R 10.0.3.21 -f ~/.ssh/known_hosts; ssh-keyscan "
            "10.0.3.21 >>~/.ssh/known_hosts; then compare the fingerprint with the host's own.",
        ),
        (
            "Authentication error (username=deploy) (Authentication failed.)",
            DATA,
            "10.0.3.21 refuses the login of deploy. Run: ssh-copy-id -p 2222 deploy@10.0.3.21; or "
            "correct ssh.user and ssh.key.",
        ),
        (
            "Could not resolve hostname ([Errno -2] Name or service not known)",
            {"ssh_hostname": "dev-1"},
            "'dev-1' has no address in DNS. Correct hosts.dev-1.address, or write an IP address.",
        ),
        (
            "Could not connect ([Errno None] Unable to connect to port 22 on 10.0.3.21)",
            {"ssh_hostname": "10.0.3.21"},
            "nothing listens on port 22 of 10.0.3.21. Start sshd there, or correct "
            "hosts.dev-1.port.",
        ),
        (
            "Could not connect (timed out)",
            {"ssh_hostname": "10.0.3.21"},
            "no reply from 10.0.3.21 port 22. Switch it on, or check VPN and firewalls: ssh "
            "10.0.3.21 true",
        ),
        (
            "SSH error (Error reading SSH protocol banner)",
            DATA,
            "SSH error (Error reading SSH protocol banner). Test the login: ssh -p 2222 "
            "deploy@10.0.3.21 true",
        ),
        ("sudo needs a password. Run it as root.", {}, "sudo needs a password. Run it as root."),
    ],
)
def test_each_cause_has_a_fix(error: str, data: dict[str, object], expected: str) -> None:
    assert cause("dev-1", error, data) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ECONNREFUSED, "nothing listens on port 2222 of 10.0.3.21."),
        (errno.EHOSTUNREACH, "no reply from 10.0.3.21 port 2222."),
    ],
)
def test_a_host_that_is_off_differs_from_one_that_refuses(number: int, expected: str) -> None:
    """paramiko has the same text for both: "Unable to connect to port 2222 on 10.0.3.21"."""
    error = ConnectError("Could not connect (Unable to connect to port 2222 on 10.0.3.21)")
    reason = OSError(number, os.strerror(number))
    error.__context__ = NoValidConnectionsError({("10.0.3.21", 2222): reason})
    assert cause("dev-1", tried(error), DATA).startswith(expected)
