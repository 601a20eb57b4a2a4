"""Gateways that change, fail, reboot and die under a steady load: which turns are lost.

With `pytest -s`, each test prints the times of its turns.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.lab import keys, load, look
from tests.lab.certificates import TLS
from tests.lab.hosts import BY_NAME
from tests.lab.rolling import (
    GATEWAYS,
    LOAD_BALANCER,
    UNIT,
    changed,
    generations,
    status,
    steady,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("gateways")


def test_a_changed_setting(tmp_path: Path) -> None:
    before = generations()
    with steady("a changed setting") as turns:
        done = changed(tmp_path, ("timeout: 60", "timeout: 61"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(generations()[name] != before[name] for name in GATEWAYS)
    assert turns.lost == []


def test_a_gateway_reboots() -> None:
    started = look.run("gw-2", f"systemctl show -p InvocationID {UNIT}")
    with steady("a reboot") as turns:
        subprocess.run(keys.ssh("gw-2", ["sudo", "systemctl", "reboot"]), check=False)
        wait_for(lambda: status("gw-2") != "UP")
        wait_for(lambda: status("gw-2") == "UP")
    assert look.run("gw-2", f"systemctl show -p InvocationID {UNIT}") != started
    assert turns.lost == []


# The process with the most streams: the kernel does not distribute them evenly.
BUSIEST = (
    "ss -Htnp 'sport = :4000' | grep -o 'pid=[0-9]*' | sort | uniq -c | sort -n | "
    "sed -n '$s/.*pid=//p'"
)


def test_a_killed_worker() -> None:
    """Only its own streams are cut."""
    with steady("kill -9 of a worker") as turns:
        look.run("gw-1", f"kill -9 $({BUSIEST})")
        time.sleep(20)
    assert 0 < len(turns.lost) < load.SESSIONS
    assert all(turn.fault.startswith("cut after") for turn in turns.lost)
    assert len({turn.session for turn in turns.lost}) == len(turns.lost)


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    before = generations()
    look.run("gw-1", "systemd-run -q --unit taken python3 -m http.server 4100")
    try:
        with steady("a port in use") as turns:
            done = changed(tmp_path, ("workers: 2", "workers: 2\n  port: 4100"))
    finally:
        look.run("gw-1", "systemctl stop taken")
    assert done.returncode == 1
    assert "gw-1: port 4100 is in use by taken.service" in look.plain(done.stdout + done.stderr)
    assert generations() == before
    assert turns.lost == []


def test_the_load_balancer_changes_without_cutting_a_stream(tmp_path: Path) -> None:
    certificate = (TLS / "rolling.pem").read_text()
    before = look.run(LOAD_BALANCER, "readlink /opt/mirrorfleet/front/current")
    with steady("the load balancer") as turns:
        done = changed(tmp_path, ("timeout: 60", "timeout: 64"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert look.run(LOAD_BALANCER, "readlink /opt/mirrorfleet/front/current") != before
    assert certificate == (TLS / "rolling.pem").read_text()
    assert turns.lost == []


def test_the_load_balancer_changes_to_a_privileged_port_by_a_reload(tmp_path: Path) -> None:
    for name in ("high", "low"):
        (tmp_path / name).mkdir()
    look.run(LOAD_BALANCER, "systemctl stop mirrorfleet-front")
    high = changed(tmp_path / "high", ("hosts: [lb]", "hosts: [lb], port: 8443"))
    assert high.returncode == 0, high.stdout + high.stderr
    began = look.run(LOAD_BALANCER, "systemctl show -p InvocationID mirrorfleet-front")
    done = changed(tmp_path / "low")
    assert done.returncode == 0, done.stdout + done.stderr
    assert look.run(LOAD_BALANCER, "systemctl show -p InvocationID mirrorfleet-front") == began


def test_the_load_balancer_forwards_only_paths_of_claude_code() -> None:
    for path, code in (
        ("/v1/models", "200"),
        ("/health/readiness", "200"),
        ("/api/hello", "404"),
        ("/health", "404"),
        ("/model/info", "404"),
        ("/v1/messages/../../model/info", "404"),
        ("/v1/chat/completions", "404"),
    ):
        address = BY_NAME[LOAD_BALANCER].address
        words = ["curl", "-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", "-K", "-"]
        done = subprocess.run(
            [*words, "--cacert", str(TLS / "rolling.pem"), f"https://{address}{path}"],
            input=f'header = "Authorization: Bearer {look.secret("master")}"\n',
            capture_output=True,
            text=True,
            check=False,
        )
        assert (path, done.stdout) == (path, code)
    log = look.run(LOAD_BALANCER, "journalctl -q -o cat -u mirrorfleet-front")
    assert re.search(r'POST "/v1/messages" 200 gw-[12]', log)
    assert look.secret("master") not in log
