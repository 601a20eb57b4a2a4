"""What a run does once for each host, however many others there are."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path
from typing import Any

import paramiko
import pytest

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import backup_file, user_settings
from mirrorfleet.roles.claude.json_file import InvalidFile, parsed, written
from mirrorfleet.runtime import inventory
from mirrorfleet.runtime.pyinfra_speed import IndexedHostKeys
from tests.roles.answers import converged
from tests.roles.conftest import Planned
from tests.roles.fake import mirror

KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKBI9MTvSLC40mE34axgGzx5l4iDFBDZuj5B/uQJP+4A",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJw5wdXRM8DZ0n0mDHkvfAxcm35gQJVVF8eDzqS+EBdV",
]


@pytest.mark.usefixtures("offline_cache")
def test_a_run_copies_each_plan_once(plans: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    copies: Counter[str] = Counter()

    def counted(plan: HostPlan) -> HostPlan:
        copies[plan.name] += 1
        return plan

    monkeypatch.setattr(HostPlan, "__copy__", counted, raising=False)
    hosts = plans("prod").hosts
    mirror(hosts, {name: converged(plan) for name, plan in hosts.items()})
    assert copies == dict.fromkeys(hosts, 1)


@pytest.mark.usefixtures("offline_cache")
def test_a_run_without_a_change_merges_each_home_once(
    plans: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = plans("prod").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    merges = 0
    real = backup_file.write_steps

    def counted(*arguments: Any) -> Any:
        nonlocal merges
        merges += 1
        return real(*arguments)

    monkeypatch.setattr(user_settings, "write_steps", counted)
    mirror(hosts, answers)
    assert merges == sum(len(plan.clients.users) for plan in hosts.values() if plan.clients)


def test_a_silent_connection_is_looked_at_every_few_seconds() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert inventory._transport(client).sock.gettimeout() == inventory.LOOKS_EVERY


def test_host_keys_are_found_as_paramiko_finds_them(tmp_path: Path) -> None:
    hashed = paramiko.HostKeys.hash_host("secret.example")
    lines = [
        f"10.0.0.1 {KEYS[0]}",
        f"gw,10.0.0.2 {KEYS[1]}",
        f"{hashed} {KEYS[0]}",
        f"[10.0.0.3]:2222 {KEYS[1]}",
        f"10.0.0.1 {KEYS[1]}",
        f"secret.example {KEYS[1]}",
    ]
    file = tmp_path / "known_hosts"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    plain, indexed = paramiko.HostKeys(str(file)), IndexedHostKeys(str(file))
    names = ("10.0.0.1", "gw", "10.0.0.2", "secret.example", "[10.0.0.3]:2222", "10.0.0.3", hashed)
    found = {name: [keys.get(name) for keys in (plain, indexed)] for name in names}
    for name, both in found.items():
        one, other = (keys and {kind: keys[kind].get_base64() for kind in keys} for keys in both)
        assert one == other, name
    assert [name for name, (one, _) in found.items() if one is None] == ["10.0.0.3"]


@pytest.mark.parametrize("levels", [2, 199, 300, 5000])
def test_what_is_read_can_be_written(levels: int) -> None:
    content = b'{"a":' * levels + b"1" + b"}" * levels
    if levels > 1000:
        with pytest.raises(InvalidFile):
            parsed(content)
    else:
        assert parsed(written(parsed(content))) == parsed(content)


def test_numbers_without_json_are_refused_in_flat_and_in_deep_files() -> None:
    for levels in (1, 300):
        with pytest.raises(InvalidFile):
            parsed(b'{"a":' * levels + b"NaN" + b"}" * levels)
