"""A hostile user on the gateways' hosts during a change, a restart and a rollback, under load."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.lab import look, rolling
from tests.lab.rolling import GATEWAYS, UNIT, changed, fleet_of, generations, steady

pytestmark = pytest.mark.usefixtures("gateways")

USER = "mallory"
HOME = f"/home/{USER}"
OUT = f"{HOME}/out"
PROGRAM = (Path(__file__).parents[1] / "intruder.py").read_text("utf-8")
LOCKS = ("/var/lib/mirrorfleet/run/lock", "/var/lib/mirrorfleet/lock", "/opt/mirrorfleet")

# The user stays logged in, with a unit of the gateway's own name, and has a second process as from
# cron, outside of logind's sessions.
INTRUDE = f"""\
id {USER} >/dev/null 2>&1 || useradd -m {USER}
cat >{HOME}/intruder.py
install -d -o {USER} {HOME}/.config/systemd/user
cat >{HOME}/.config/systemd/user/{UNIT} <<'END'
[Service]
ExecStart=/usr/bin/python3 -u {HOME}/intruder.py 4000 {" ".join(LOCKS)}
StandardOutput=append:{OUT}
END
chown -R {USER} {HOME}
loginctl enable-linger {USER}
bus=/run/user/$(id -u {USER})
for try in $(seq 50); do [ ! -S $bus/systemd/private ] || break; sleep 0.1; done
runuser -u {USER} -- env XDG_RUNTIME_DIR=$bus systemctl --user start {UNIT}
systemd-run -q --unit=like-cron --uid={USER} \\
    sh -c 'exec python3 -u {HOME}/intruder.py 4000 >>{OUT}.cron'
"""

LEAVE = f"""\
systemctl stop like-cron 2>/dev/null || true
loginctl terminate-user {USER} 2>/dev/null || true
loginctl disable-linger {USER} || true
sleep 1; pkill -KILL -u {USER} || true
cat {OUT} {OUT}.cron 2>/dev/null || true
userdel -rf {USER} 2>/dev/null || true
"""


@contextmanager
def intruders() -> Iterator[dict[str, list[str]]]:
    """Run the hostile user on every gateway's host while the block runs; collect its output."""
    outputs: dict[str, list[str]] = {}
    try:
        for name in GATEWAYS:
            look.run(name, INTRUDE, PROGRAM)
        yield outputs
    finally:
        for name in GATEWAYS:
            outputs[name] = look.run(name, LEAVE).splitlines()


def tries(lines: list[str]) -> int:
    return max(int(line.split()[1]) for line in lines if line.startswith("tries "))


def test_a_hostile_user_gets_no_key_and_stops_nothing(tmp_path: Path) -> None:
    before = generations()
    with intruders() as outputs, steady("a hostile user") as turns:
        done = changed(tmp_path / "change", ("timeout: 60", "timeout: 66"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert all(generations()[name] != before[name] for name in GATEWAYS)
        look.run("gw-1", f"systemctl restart {UNIT}")
        fleet = fleet_of(tmp_path / "back", ("timeout: 60", "timeout: 66"))
        back = look.pyinfra("-y", str(fleet.with_suffix(".py")), "deploys/rollback.py")
        assert back.returncode == 0, back.stdout + back.stderr
        assert generations() == before
        for name in GATEWAYS:
            unit = f"XDG_RUNTIME_DIR=/run/user/$(id -u {USER}) systemctl --user is-active {UNIT}"
            state = look.run(name, f"runuser -u {USER} -- sh -c {shlex.quote(unit)}")
            assert state.strip() == "active", "the user's own unit runs"
    for name in GATEWAYS:
        assert tries(outputs[name]) > 1000
        assert [line for line in outputs[name] if not line.startswith("tries ")] == []
    assert turns.lost == []


def test_without_the_reservation_the_user_gets_the_port_and_the_keys(tmp_path: Path) -> None:
    """This proves that the attack of the test above can work."""
    look.run("gw-2", "python3 /opt/mirrorfleet/ports/reserve_ports.py release")
    with intruders() as outputs:
        try:
            look.run("gw-2", f"systemctl stop {UNIT}")
            rolling.wait_for(lambda: look.run("gw-2", "ss -Hltn sport = :4000").strip() != "")
            key = look.secret("master")
            with suppress(OSError, HTTPException):  # the intruder closes the connection
                look.http_status("gw-2", 4000, "/v1/models", key=key)
        finally:
            look.run("gw-2", "systemctl stop like-cron; systemctl reload mirrorfleet-ports")
    assert any(key in line for line in outputs["gw-2"] if line.startswith("connection"))
    assert [line for line in outputs["gw-1"] if not line.startswith("tries ")] == []
    look.run("gw-2", f"systemctl start {UNIT}")
    rolling.wait_for(lambda: rolling.status("gw-2") == "UP")
