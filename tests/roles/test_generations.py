"""Tests of a service's generations: the real scripts stage and switch; systemd is a stand-in."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from pyinfra.api.command import PyinfraCommand, StringCommand

from mirrorfleet.runtime import drift, generations
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.facts import Listening, Tree, Unit, UnitState
from mirrorfleet.runtime.generations import KEPT
from mirrorfleet.runtime.observe import Observation, assumed
from mirrorfleet.runtime.service import NEVER, Service, facts
from tests.roles.answers import MACHINE, observation_of, running, with_values
from tests.roles.machine import Machine
from tests.waiting import limited, until

pytestmark = pytest.mark.slow

UNIT = "mirrorfleet-demo.service"
SOFTWARE = "/opt/mirrorfleet/demo/environments"

# A stand-in for systemd: a restart runs the target of `current`. With "deaf" in its config, a
# generation never listens; with "dies", it exits and restarts repeatedly.
SYSTEMCTL = """\
echo "$*" >>"$ROOT/systemctl.log"
current="$ROOT/opt/mirrorfleet/demo/current"
case "$*" in
    restart*) readlink "$current" >"$ROOT/runs" ;;
    stop*) rm -f "$ROOT/runs" ;;
    'show -p NRestarts'*)
        grep -qs dies "$current/config" && echo x >>"$ROOT/deaths"
        cat "$ROOT/deaths" 2>/dev/null | wc -l ;;
esac
"""
SS = """\
config="$ROOT/opt/mirrorfleet/demo/current/config"
[ -e "$ROOT/runs" ] && ! grep -qs 'deaf\\|dies' "$config" || exit 0
port=$(sed -n 's/.* on //p' "$config")
[ "$*" != "-Hltnp sport = :${port:-4000}" ] ||
    echo 'LISTEN 0 9 127.0.0.1:0 0.0.0.0:* users:(("demo",pid=7,fd=3))'
"""
# A clock that advances by a second at each call: a script that waits polls equally often on a slow
# machine, and its timeout ends soon.
DATE = """\
echo x >>"$ROOT/seconds"
wc -l <"$ROOT/seconds"
"""


def hooks(ready: str = "grep -q serves current/config", **others: str) -> str:
    """Return the shell functions of a service: ``ready``, and others by name."""
    functions = {"ready": ready, **others}
    return "".join(f"{name}() {{\n{body}\n}}\n" for name, body in functions.items())


def demo(config: str, **other: object) -> Service:
    """Return a service; the content of its one file sets its behavior."""
    desired = Service(
        name="demo",
        user="daemon" if os.geteuid() == 0 else "root",
        port=4000,
        software=SOFTWARE,
        unit=f"[Service]\nExecStart={SOFTWARE}/one/bin/demo\n",
        environment={"KEY": 'se"cr$et'},
        files={"config": config},
        hooks=hooks(),
        seconds=3,
        check=("grep", "-qv", "refused", "config"),
    )
    return replace(desired, **other)  # type: ignore[arg-type]


@pytest.fixture
def host(machine: Machine) -> Machine:
    machine.add("systemctl", SYSTEMCTL)
    machine.add("ss", SS)
    machine.add("date", DATE)
    machine.add("journalctl", "echo its last words")
    cgroup = machine.at("/proc/7/cgroup")
    cgroup.parent.mkdir()
    cgroup.write_text(f"0::/system.slice/{UNIT}\n")
    return machine


def run(host: Machine, commands: Iterable[PyinfraCommand]) -> subprocess.CompletedProcess[str]:
    [command] = commands
    return host.run(command)


def stage(host: Machine, desired: Service) -> subprocess.CompletedProcess[str]:
    return run(host, generations.stage(desired, assumed()))


def switch(host: Machine, desired: Service) -> subprocess.CompletedProcess[str]:
    return run(host, generations.switch(desired, assumed()))


def deploy(host: Machine, desired: Service) -> Service:
    """Stage a generation and switch to it; both must succeed."""
    for done in (stage(host, desired), switch(host, desired)):
        assert (done.returncode, done.stderr) == (0, "")
    return desired


def current(host: Machine) -> str | None:
    link = host.at("/opt/mirrorfleet/demo/current")
    # Path.readlink would normalize "./".
    return os.readlink(link) if link.is_symlink() else None  # noqa: PTH115


def runs(host: Machine) -> str | None:
    file = host.root / "runs"
    return file.read_text().strip() if file.exists() else None


def kept(host: Machine) -> set[str]:
    return {path.name for path in host.at("/opt/mirrorfleet/demo/generations").iterdir()}


def systemctl_calls(host: Machine) -> list[str]:
    """Return the commands for systemd, without queries."""
    log = host.root / "systemctl.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if not line.startswith("show")]


def verified(host: Machine) -> set[str]:
    return {path.name for path in host.at("/opt/mirrorfleet/demo/served").iterdir()}


def observe(host: Machine, desired: Service) -> Observation:
    """Return what a run observes on the host, with the service active and listening."""
    found = host.observe_as_host(*facts(desired.name, desired.user, desired.port))
    return with_values(
        found,
        {
            Unit(UNIT): UnitState("active", "enabled", desired.generation),
            Listening(desired.port): frozenset({UNIT}),
        },
    )


def interrupt(host: Machine, desired: Service) -> None:
    """Interrupt a run after the switch, before the new generation is verified."""
    stage(host, desired)
    [command] = generations.switch(desired, assumed())
    text = str(command)
    killed = text.replace("serves() {", "serves() { trap - EXIT; kill -9 $$;")
    assert killed != text
    assert host.run(StringCommand(killed)).returncode == -9
    assert current(host) == runs(host) == at(desired)


def at(desired: Service) -> str:
    return f"generations/{desired.generation}"


def test_a_first_generation_is_staged_started_and_enabled(host: Machine) -> None:
    desired = deploy(host, demo("serves"))
    assert current(host) == runs(host) == at(desired)
    unit = host.at(f"/etc/systemd/system/{UNIT}")
    assert unit.read_text() == desired.unit
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644
    assert systemctl_calls(host)[:2] == ["daemon-reload", f"--quiet enable {UNIT}"]
    assert systemctl_calls(host)[-1] == f"restart {UNIT}"


def test_only_root_can_read_a_secret_on_the_host(host: Machine) -> None:
    desired = deploy(host, demo("serves"))
    generation = host.at(desired.generation_path)
    modes = {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in generation.iterdir()}
    assert modes == {"environment": "600", UNIT: "644", "config": "640"}
    assert stat.S_IMODE(generation.stat().st_mode) == 0o750


def test_a_staged_generation_is_recognized(host: Machine) -> None:
    desired = deploy(host, demo("serves"))
    tree = Tree(str(host.at(desired.generations)))
    found = host.observe(tree, root=True)
    assert drift.is_placed(desired, assumed({Tree(desired.generations): found[tree]}))


def test_a_lost_connection_to_the_controller_causes_no_rollback(host: Machine) -> None:
    desired = demo("serves", hooks=hooks("echo proved && grep -q serves current/config"))
    stage(host, desired)
    [command] = generations.switch(desired, assumed())
    done = host.run(StringCommand(f"exec >/dev/full 2>&1\n{command}"))
    assert done.returncode == 0
    assert current(host) == f"generations/{desired.generation}"


def test_the_last_generations_stay_and_unused_software_is_removed(
    host: Machine,
) -> None:
    for name in ("one", "unused"):
        host.at(f"{SOFTWARE}/{name}/bin").mkdir(parents=True)
    unit = f"[Service]\nExecStart={host.at(SOFTWARE)}/one/bin/demo\n"
    deployed = [deploy(host, demo(f"serves {number}", unit=unit)) for number in range(KEPT + 2)]
    assert kept(host) == {service.generation for service in deployed[-KEPT:]}
    assert [path.name for path in host.at(SOFTWARE).iterdir()] == ["one"]


@pytest.mark.parametrize("fault", ["deaf", "dies", "listens but is never ready"])
def test_a_generation_that_is_not_ready_is_rolled_back(host: Machine, fault: str) -> None:
    good = deploy(host, demo("serves"))
    bad = demo(fault, unit="[Service]\n# new\n")
    assert stage(host, bad).returncode == 0
    assert runs(host) == at(good), "staging does not affect the running generation"
    done = switch(host, bad)
    assert done.returncode == 1
    assert "its last words" in done.stderr
    assert f"rolled back to {good.generation}, which is ready" in done.stderr
    assert current(host) == runs(host) == at(good)
    assert "# new" not in host.at(f"/etc/systemd/system/{UNIT}").read_text()


def test_a_rollback_works_to_a_generation_with_another_port(host: Machine) -> None:
    good = deploy(host, demo("serves on 4001", port=4001))
    bad = demo("deaf", port=4002)
    stage(host, bad)
    done = switch(host, bad)
    assert f"rolled back to {good.generation}, which is ready" in done.stderr
    assert runs(host) == at(good)


def test_a_failed_generation_is_abandoned_before_the_rollback(host: Machine) -> None:
    mark = 'readlink current >"$ROOT/abandoned"'
    good = deploy(host, demo("serves", hooks=hooks(abandon=mark)))
    assert not (host.root / "abandoned").exists()
    bad = demo("deaf", hooks=hooks(abandon=mark))
    stage(host, bad)
    switch(host, bad)
    assert (host.root / "abandoned").read_text() == f"generations/{bad.generation}\n"
    assert runs(host) == at(good)


def test_a_generation_that_exits_repeatedly_fails_before_the_timeout(host: Machine) -> None:
    deploy(host, demo("serves"))
    bad = demo("dies", seconds=600)  # the test fails after 30 real seconds
    stage(host, bad)
    assert switch(host, bad).returncode == 1


def test_a_generation_that_can_never_be_ready_fails_before_the_timeout(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    never = f"(grep -q serves current/config || exit {NEVER})"
    bad = demo("listens", hooks=hooks(never), seconds=600)  # the test fails after 30 real seconds
    stage(host, bad)
    done = switch(host, bad)
    assert f"rolled back to {good.generation}, which is ready" in done.stderr


@pytest.mark.parametrize(
    "group",
    [
        "/system.slice/nginx.service",
        f"/user.slice/user-1000.slice/user@1000.service/app.slice/{UNIT}",
        f"/user.slice/user-1000.slice/user@1000.service/system.slice/{UNIT}",
        f"/user.slice/user-1000.slice/user@1000.service/mirrorfleet.slice/{UNIT}.slice/x.scope",
        f"/system.slice/{UNIT[:-8]}-copy.service",
        f"/system.slice/cron.service/system.slice/{UNIT}",
    ],
)
def test_another_program_on_the_port_does_not_count_as_the_service(
    host: Machine, group: str
) -> None:
    host.at("/proc/7/cgroup").write_text(f"0::{group}\n")
    desired = demo("serves")
    stage(host, desired)
    assert switch(host, desired).returncode == 1


@pytest.mark.parametrize(
    "line",
    [
        f"0::/system.slice/{UNIT}/worker",
        f"1:name=systemd:/system.slice/{UNIT}",
        f"0::/mirrorfleet.slice/{UNIT}.slice/docker-1.scope",
        f"0::/{UNIT}.slice/1",
    ],
)
def test_a_service_is_recognized_by_its_control_group(host: Machine, line: str) -> None:
    host.at("/proc/7/cgroup").write_text(f"12:pids:/elsewhere\n{line}\n")
    deploy(host, demo("serves"))


def test_the_ask_hook_runs_only_if_the_service_has_its_port(host: Machine) -> None:
    """The requests of the hook have the master key."""
    deploy(host, demo("serves"))
    ask = 'echo asked >>"$ROOT/asked"'
    new = demo("serves too", hooks=hooks(ask=ask))
    host.at("/proc/7/cgroup").write_text("0::/user.slice/user-1000.slice/session-1.scope\n")
    stage(host, new)
    switch(host, new)
    assert not (host.root / "asked").exists()


def test_a_first_generation_that_is_not_ready_is_stopped_and_none_is_current(host: Machine) -> None:
    bad = demo("deaf")
    stage(host, bad)
    done = switch(host, bad)
    assert done.returncode == 1
    assert "rolled back" not in done.stderr
    assert (current(host), runs(host)) == (None, None)
    assert systemctl_calls(host)[-1] == f"stop {UNIT}"


def test_a_rollback_to_a_generation_that_is_not_ready_is_reported(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    host.at(f"{good.generation_path}/config").write_text("deaf")
    bad = demo("deaf", unit="[Service]\n# new\n")
    stage(host, bad)
    done = switch(host, bad)
    assert done.returncode == 1
    assert f"{good.generation} is not ready either" in done.stderr
    assert "rolled back" not in done.stderr


def test_a_generation_that_fails_its_check_is_not_staged(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    before = systemctl_calls(host)
    done = stage(host, demo("serves, but is refused"))
    assert done.returncode == 1
    assert "the new generation failed its check; the running one is unaffected" in done.stderr
    assert kept(host) == {good.generation}
    assert current(host) == runs(host) == at(good)
    assert systemctl_calls(host) == before


def test_staging_on_a_full_disk_leaves_no_files(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    host.add("tar", "echo 'tar: config: No space left on device' >&2; exit 2")
    done = stage(host, demo("serves, too"))
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "free space below" in done.stderr
    assert kept(host) == {good.generation}


def test_the_check_has_the_environment_of_the_service(host: Machine) -> None:
    desired = demo("serves", check=("sh", "-c", 'test "$KEY" = "se\\"cr\\$et"'))
    assert stage(host, desired).returncode == 0


def test_a_changed_generation_is_replaced_and_restarted(host: Machine) -> None:
    desired = deploy(host, demo("serves"))
    config = host.at(f"{desired.generation_path}/config")
    config.write_text("evil")
    assert stage(host, desired).returncode == 0
    assert config.read_text() == "serves"
    assert current(host) == f"./{at(desired)}", "the link shows that a restart is due"
    assert host.at("/opt/mirrorfleet/demo/current/config").read_text() == "serves"
    assert kept(host) == {desired.generation}
    restarts = systemctl_calls(host).count(f"restart {UNIT}")
    assert switch(host, desired).returncode == 0
    assert current(host) == at(desired)
    assert systemctl_calls(host).count(f"restart {UNIT}") == restarts + 1


def test_an_incomplete_generation_of_an_interrupted_run_is_removed(host: Machine) -> None:
    host.at("/opt/mirrorfleet/demo/generations/0123456789ab.new").mkdir(parents=True)
    desired = deploy(host, demo("serves"))
    assert kept(host) == {desired.generation}


def test_a_drop_in_is_removed(host: Machine) -> None:
    drop_ins = host.at(f"/etc/systemd/system/{UNIT}.d")
    drop_ins.mkdir()
    (drop_ins / "override.conf").write_text("[Service]\nUser=root\n")
    deploy(host, demo("serves"))
    assert not drop_ins.exists()


def test_a_started_generation_that_is_not_ready_yet_is_not_restarted(host: Machine) -> None:
    desired = deploy(host, demo("serves"))
    before = systemctl_calls(host)
    answers = MACHINE | running(desired)
    del answers["port", "4000"]
    assert run(host, generations.switch(desired, observation_of(answers))).returncode == 0
    assert systemctl_calls(host) == before


def test_a_verified_generation_is_recorded(host: Machine) -> None:
    desired = deploy(host, demo("serves"))
    assert generations.is_switched(desired, observe(host, desired))
    assert verified(host) == {desired.generation}


def test_without_a_record_the_current_generation_counts_as_verified(
    host: Machine,
) -> None:
    old = deploy(host, demo("serves"))
    host.at(f"/opt/mirrorfleet/demo/served/{old.generation}").unlink()
    host.at("/opt/mirrorfleet/demo/served").rmdir()
    assert list(drift.changes(old, observe(host, old))) == []
    bad = demo("dies")
    stage(host, bad)
    assert f"rolled back to {old.generation}, which is ready" in switch(host, bad).stderr
    assert verified(host) == {old.generation}


@pytest.mark.parametrize("fault", ["dies", "listens but is never ready"])
def test_after_an_interrupted_run_a_bad_generation_is_rolled_back(
    host: Machine, fault: str
) -> None:
    good = deploy(host, demo("serves"))
    bad = demo(fault)
    interrupt(host, bad)
    found = observe(host, bad)
    [change] = drift.changes(bad, found)
    assert change.what == f"{UNIT} is not verified yet"
    done = run(host, generations.switch(bad, found))
    assert done.returncode == 1
    assert f"rolled back to {good.generation}, which is ready" in done.stderr
    assert current(host) == runs(host) == at(good)
    assert verified(host) == {good.generation}


def test_after_an_interrupted_run_a_good_generation_is_verified_without_a_restart(
    host: Machine,
) -> None:
    desired = demo("serves")
    interrupt(host, desired)
    restarts = systemctl_calls(host)
    assert run(host, generations.switch(desired, observe(host, desired))).returncode == 0
    assert systemctl_calls(host) == restarts
    assert generations.is_switched(desired, observe(host, desired))


def test_after_an_interrupted_run_a_generation_is_compared_with_the_last_verified_one(
    host: Machine,
) -> None:
    deploy(host, demo("serves"))
    compares = hooks('grep -qx serves "$outcomes"', ask="cat current/config")
    desired = demo("serves, too", hooks=compares)
    interrupt(host, desired)
    assert run(host, generations.switch(desired, observe(host, desired))).returncode == 0


def test_a_generation_that_another_run_rolled_back_does_not_count_as_verified(
    host: Machine,
) -> None:
    good = deploy(host, demo("serves"))
    bad = demo("dies")
    interrupt(host, bad)
    found = observe(host, bad)
    assert run(host, generations.switch(bad, found)).returncode == 1
    assert current(host) == at(good)
    assert run(host, generations.switch(bad, found)).returncode == 1
    assert verified(host) == {good.generation}


def test_failed_generations_are_no_rollback_target_and_displace_no_verified_one(
    host: Machine,
) -> None:
    good = deploy(host, demo("serves"))
    failed = [demo(f"dies {number}") for number in range(KEPT)]
    for bad in failed:
        stage(host, bad)
        assert switch(host, bad).returncode == 1
    new = deploy(host, demo("serves, too"))
    assert good.generation in kept(host)
    assert len(kept(host)) == KEPT
    assert run(host, generations.roll_back(new)).returncode == 0
    assert current(host) == runs(host) == at(good)


def test_a_script_waits_for_the_script_of_a_killed_run(host: Machine, tmp_path: Path) -> None:
    order = tmp_path / "order"
    lock = host.at("/var/lib/mirrorfleet/run/lock")
    lock.parent.mkdir()
    slow = f"exec 9>{lock}; flock 9; echo locked >{order}; sleep 0.5; echo first >>{order}"
    with limited(subprocess.Popen(["sh", "-c", slow])):
        until(order.exists, "another script holds the lock")
        assert host.run(script(f"echo second >>{order}")).returncode == 0
    assert order.read_text().split() == ["locked", "first", "second"]


def test_roll_back_and_switch_forward_again(host: Machine) -> None:
    old = deploy(host, demo("serves"))
    new = deploy(host, demo("serves, too"))
    assert run(host, generations.roll_back(new)).returncode == 0
    assert current(host) == runs(host) == at(old)
    assert switch(host, new).returncode == 0
    assert current(host) == runs(host) == at(new)


def test_roll_back_without_another_verified_generation_fails(host: Machine) -> None:
    only = deploy(host, demo("serves"))
    before = systemctl_calls(host)
    done = run(host, generations.roll_back(only))
    assert done.returncode == 1
    assert "there is no other verified generation" in done.stderr
    assert systemctl_calls(host) == before


def test_a_roll_back_target_that_is_not_ready_is_reverted(host: Machine) -> None:
    old = deploy(host, demo("serves"))
    new = deploy(host, demo("serves, too"))
    host.at(f"{old.generation_path}/config").write_text("deaf")
    done = run(host, generations.roll_back(new))
    assert done.returncode == 1
    assert f"rolled back to {new.generation}, which is ready" in done.stderr
    assert current(host) == runs(host) == at(new)


def test_a_generation_is_draining_until_it_is_verified(host: Machine) -> None:
    marker = host.root / "run/held"
    is_draining = f"([ $(stat -c %Y {marker}) -gt $(date +%s) ])"
    desired = demo("serves", draining=str(marker), hooks=hooks(is_draining))
    assert stage(host, desired).returncode == 0
    assert switch(host, desired).returncode == 0
    assert not marker.exists()


def test_the_ready_hook_gets_the_outcomes_of_the_former_generation_and_warns(
    host: Machine,
) -> None:
    deploy(host, demo("serves"))
    desired = demo(
        "serves, too",
        hooks=hooks('echo "before it: $(cat "$outcomes")"', ask="cat current/config"),
    )
    assert stage(host, desired).returncode == 0
    done = switch(host, desired)
    assert (done.returncode, done.stderr) == (0, "before it: serves\n")
