"""Upgrades and broken changes of gateways under a steady load: no turn is lost.

With `pytest -s`, each test prints the times of its turns.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import look, paths
from tests.lab.rolling import GATEWAYS, UNIT, changed, fleet_of, generations, steady, wait_for

pytestmark = pytest.mark.usefixtures("gateways")

WORKERS = "workers: 2"
ELSEWHERE = (":8099", ":8098")
"""A dead upstream: no process listens on that port."""


def releases() -> list[str]:
    """Return the release of LiteLLM whose environment runs on each gateway."""
    command = f"systemctl show -p ExecStart {UNIT} | grep -o 'environments/[0-9.]*' | head -n 1"
    return [look.run(name, command).strip() for name in GATEWAYS]


def workers(gateway: str, age: int = 0) -> set[str]:
    """Return the process IDs of a gateway's workers that are older than ``age`` seconds."""
    main = f"$(systemctl show -p MainPID --value {UNIT})"
    return set(look.run(gateway, f"pgrep -P {main} --older {age} -f spawn_main; true").split())


def test_another_release_and_a_rollback(tmp_path: Path) -> None:
    before = generations()
    fleet = fleet_of(tmp_path, ("version: 1.106.12", "version: 1.106.11"))
    with steady("another release of LiteLLM") as turns:
        done = look.mirror(fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert releases() == ["environments/1.106.11"] * 2
    with steady("deploys/rollback.py") as more:
        done = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/rollback.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (generations(), releases()) == (before, ["environments/1.106.12"] * 2)
    assert turns.lost == more.lost == []


def test_recycled_workers(tmp_path: Path) -> None:
    recycled = f"{WORKERS}\n  max_requests_before_restart: 100"
    assert changed(tmp_path, (WORKERS, recycled)).returncode == 0
    before = {name: workers(name) for name in GATEWAYS}
    assert [len(processes) for processes in before.values()] == [2, 2]
    wait_for(lambda: all(workers(name, age=30) == before[name] for name in GATEWAYS))
    started: list[set[str]] = []

    def all_are_new() -> bool:
        started.extend(workers(name, age=30) for name in GATEWAYS)
        return all(workers(name).isdisjoint(before[name]) for name in GATEWAYS)

    with steady("all four workers recycled") as turns:
        wait_for(all_are_new)
    assert turns.lost == []
    assert all(started), "on a gateway, no worker had started"
    assert changed(tmp_path / "back").returncode == 0, "later tests need the former settings"


UNKNOWN = "{router_settings: {retry_policy: {TimeoutErrorRetries: many}}}"

REFUSED = {
    "a poisoned release": (
        ("version: 1.106.12", "version: 1.82.8"),
        ["rolling.yml:18: gateway.version", "MAL-2026-2144", "Write 1.106.9 or newer."],
    ),
    "a well-known master key": (
        ("../.lab/secrets/master", "weak"),
        ["gw-1, gw-2: the master key {file: weak} is shorter than", "Make a random one"],
    ),
    "settings that LiteLLM cannot load": (
        (WORKERS, f"{WORKERS}\n  extra: {UNKNOWN}"),
        ["[gw-1]", "rejects its content: ValidationError", "the running one is unaffected"],
    ),
    "a dead upstream": (
        ELSEWHERE,
        [
            "[gw-1] a turn of 'steady' fails: 500, but succeeded before",
            "Check the url",
            "Connect call failed ('10.77.0.1', 8098)",
            "rolled back to",
        ],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_change_changes_nothing(tmp_path: Path, name: str) -> None:
    edit, expected = REFUSED[name]
    before = generations()
    fleet = fleet_of(tmp_path, edit)
    (fleet.parent / "weak").write_text("sk-1234\n")
    with steady(name) as turns:
        done = look.mirror(fleet=fleet)
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    assert [text for text in expected if text not in output] == [], output
    assert "Traceback" not in output
    assert look.secret("master") not in output
    assert generations() == before
    assert turns.lost == []


@contextmanager
def full(gateway: str, directory: str) -> Iterator[None]:
    """Move a directory to a full disk while the block runs."""
    disk = f"mount -t tmpfs -o size=2m full /mnt && cp -a {directory}/. /mnt"
    fill = "head -c 4m /dev/zero >/mnt/filler"
    try:
        look.run(gateway, f"{disk} && mount --bind /mnt {directory} && ! {fill} 2>/dev/null")
        yield
    finally:
        look.run(gateway, f"umount {directory} || true; umount /mnt || true")


def test_a_full_disk(tmp_path: Path) -> None:
    before = generations()
    with full("gw-1", "/opt/mirrorfleet/litellm/generations"), steady("a full disk") as turns:
        done = changed(tmp_path, ("timeout: 60", "timeout: 62"))
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    assert "No space left on device" in output
    assert "[gw-1] If the disk is full, free space below /opt/mirrorfleet/litellm" in output
    assert generations() == before
    assert turns.lost == []


def invocation() -> str:
    """Return the invocation ID of the first gateway."""
    return look.run("gw-1", f"systemctl show -p InvocationID --value {UNIT}")


def test_a_run_that_is_killed_after_a_switch_to_a_broken_generation(tmp_path: Path) -> None:
    """The gateway takes no turns; the next run rolls back to the last generation that served."""
    before, last = generations(), invocation()
    fleet = fleet_of(tmp_path, ELSEWHERE)
    with steady("a killed run, and the next") as turns:
        command = look.command("-y", str(fleet.with_suffix(".py")), "deploys/mirror.py")
        with subprocess.Popen(command, cwd=paths.REPOSITORY, stderr=subprocess.DEVNULL) as run:
            wait_for(lambda: generations() != before)
            run.kill()
        look.run("gw-1", "pkill -KILL -f '[n]ot ready after the switch'")
        wait_for(lambda: invocation() != last)
        wait_for(lambda: look.on("gw-1").socket("tcp://10.77.0.21:4000").is_listening)
        done = look.mirror(fleet=fleet)
    output = look.plain(done.stdout + done.stderr)
    assert f"LiteLLM: {UNIT} is not verified yet" in look.reported(done.stderr, "gw-1")
    assert "a turn of 'steady' fails" in output
    assert "rolled back to" in output
    assert done.returncode == 1
    assert generations() == before
    assert turns.lost == []
