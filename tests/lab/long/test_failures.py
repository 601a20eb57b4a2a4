"""Under a steady load: software that changes, and changes that cannot work. No developer notices.

Prints what each costs: pytest -s.
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
"""An upstream that is dead: nobody listens there."""


def releases() -> list[str]:
    """Of LiteLLM, on each gateway: the one whose environment runs."""
    command = f"systemctl show -p ExecStart {UNIT} | grep -o 'environments/[0-9.]*' | head -n 1"
    return [look.run(name, command).strip() for name in GATEWAYS]


def workers(gateway: str, age: int = 0) -> set[str]:
    """The processes of a gateway's workers that have so many seconds."""
    main = f"$(systemctl show -p MainPID --value {UNIT})"
    return set(look.run(gateway, f"pgrep -P {main} --older {age} -f spawn_main; true").split())


def test_another_release_and_back_on_purpose(tmp_path: Path) -> None:
    before = generations()
    fleet = fleet_of(tmp_path, ("version: 1.106.2", "version: 1.106.1"))
    with steady("another release of LiteLLM") as turns:
        done = look.mirror(fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert releases() == ["environments/1.106.1"] * 2
    with steady("deploys/rollback.py") as more:
        done = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/rollback.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (generations(), releases()) == (before, ["environments/1.106.2"] * 2)
    assert turns.lost == more.lost == []


def test_workers_that_are_recycled(tmp_path: Path) -> None:
    recycled = f"{WORKERS}\n  max_requests_before_restart: 100"
    assert changed(tmp_path, (WORKERS, recycled)).returncode == 0
    before = {name: workers(name) for name in GATEWAYS}
    assert [len(each) for each in before.values()] == [2, 2]
    wait_for(lambda: all(workers(name, age=30) == before[name] for name in GATEWAYS))
    started: list[set[str]] = []

    def all_are_new() -> bool:
        started.extend(workers(name, age=30) for name in GATEWAYS)
        return all(workers(name).isdisjoint(before[name]) for name in GATEWAYS)

    with steady("all four workers recycled") as turns:
        wait_for(all_are_new)
    assert turns.lost == []
    assert all(started), "a gateway without a worker that has started"
    assert changed(tmp_path / "back").returncode == 0, "so that no later loss is blamed on this"


UNKNOWN = "{router_settings: {retry_policy: {TimeoutErrorRetries: many}}}"

REFUSED = {
    "a poisoned release": (
        ("version: 1.106.2", "version: 1.82.8"),
        ["rolling.yml:18: gateway.version", "malicious release", "Write 1.84.0 or newer."],
    ),
    "a master key that everybody knows": (
        ("../.lab/secrets/master", "weak"),
        ["gw-1, gw-2: the master key {file: weak} is shorter than", "Make a random one"],
    ),
    "settings that LiteLLM does not load": (
        (WORKERS, f"{WORKERS}\n  extra: {UNKNOWN}"),
        ["[gw-1]", "refuses what it says: ValidationError", "what ran before runs on"],
    ),
    "a dead upstream": (
        ELSEWHERE,
        [
            "[gw-1] the gateway gives no answer to a turn of 'steady': 500, which it did before",
            "See to the url",
            "Connect call failed ('10.77.0.1', 8098)",
            "rolled back to",
        ],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_changes_nothing(tmp_path: Path, name: str) -> None:
    edit, told = REFUSED[name]
    before = generations()
    fleet = fleet_of(tmp_path, edit)
    (fleet.parent / "weak").write_text("sk-1234\n")
    with steady(name) as turns:
        done = look.mirror(fleet=fleet)
    said = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    assert [text for text in told if text not in said] == [], said
    assert "Traceback" not in said
    assert look.secret("master") not in said
    assert generations() == before
    assert turns.lost == []


@contextmanager
def full(gateway: str, directory: str) -> Iterator[None]:
    """A disk without a byte left, with all that stood in the directory."""
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
    said = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    assert "No space left on device" in said
    assert "[gw-1] If its disk is full, make room below /opt/mirrorfleet/litellm" in said
    assert generations() == before
    assert turns.lost == []


def start() -> str:
    """Of the gateway that changes first, this one start."""
    return look.run("gw-1", f"systemctl show -p InvocationID --value {UNIT}")


def test_a_run_that_is_cut_when_it_has_switched_to_what_does_not_serve(tmp_path: Path) -> None:
    """It takes no turns; the next run finds out, and goes back to the last that has served."""
    before, last = generations(), start()
    fleet = fleet_of(tmp_path, ELSEWHERE)
    with steady("a cut run, and the next") as turns:
        command = look.command("-y", str(fleet.with_suffix(".py")), "deploys/mirror.py")
        with subprocess.Popen(command, cwd=paths.REPOSITORY, stderr=subprocess.DEVNULL) as run:
            wait_for(lambda: generations() != before)
            run.kill()
        look.run("gw-1", "pkill -KILL -f '[n]ot ready after the switch'")
        wait_for(lambda: start() != last)
        wait_for(lambda: look.on("gw-1").socket("tcp://10.77.0.21:4000").is_listening)
        done = look.mirror(fleet=fleet)
    said = look.plain(done.stdout + done.stderr)
    assert f"[gw-1] {UNIT} has not proved yet that it serves" in said
    assert "gives no answer to a turn of 'steady'" in said
    assert "rolled back to" in said
    assert done.returncode == 1
    assert generations() == before
    assert turns.lost == []
