"""A service's generations: the real scripts of place and switch, with a stand-in for systemd."""

from __future__ import annotations

import os
import stat
import subprocess
import time
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

UNIT = "mirrorfleet-demo.service"
SOFTWARE = "/opt/mirrorfleet/demo/environments"

# A stand-in for systemd: after a restart, what `current` links to runs. A generation whose config
# says so never listens, or dies and is restarted again and again.
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
# A clock that goes on a second each time that it is looked at: what is waited for in vain is asked
# for as often on a slow machine, and soon given up.
DATE = """\
echo x >>"$ROOT/seconds"
wc -l <"$ROOT/seconds"
"""


def hooks(ready: str = "grep -q serves current/config", **others: str) -> str:
    """Return the shell functions of the service: `ready`, and others by name."""
    functions = {"ready": ready, **others}
    return "".join(f"{name}() {{\n{body}\n}}\n" for name, body in functions.items())


def demo(config: str, **other: object) -> Service:
    """Return a service whose one file says how it behaves."""
    wanted = Service(
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
    return replace(wanted, **other)  # type: ignore[arg-type]


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


def place(host: Machine, wanted: Service) -> subprocess.CompletedProcess[str]:
    return run(host, generations.stage(wanted, assumed()))


def switch(host: Machine, wanted: Service) -> subprocess.CompletedProcess[str]:
    return run(host, generations.switch(wanted, assumed()))


def deploy(host: Machine, wanted: Service) -> Service:
    """Place and switch to a generation that is expected to serve."""
    for done in (place(host, wanted), switch(host, wanted)):
        assert (done.returncode, done.stderr) == (0, "")
    return wanted


def current(host: Machine) -> str | None:
    link = host.at("/opt/mirrorfleet/demo/current")
    # Not by Path.readlink, which tidies up what it reads.
    return os.readlink(link) if link.is_symlink() else None  # noqa: PTH115


def runs(host: Machine) -> str | None:
    file = host.root / "runs"
    return file.read_text().strip() if file.exists() else None


def kept(host: Machine) -> set[str]:
    return {path.name for path in host.at("/opt/mirrorfleet/demo/generations").iterdir()}


def told(host: Machine) -> list[str]:
    """What systemd was told, without the questions."""
    log = host.root / "systemctl.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if not line.startswith("show")]


def served(host: Machine) -> set[str]:
    return {path.name for path in host.at("/opt/mirrorfleet/demo/served").iterdir()}


def look(host: Machine, wanted: Service) -> Observation:
    """What a run would know of the host: what stands there, and that the service is up."""
    found = host.look_as_host(*facts(wanted.name, wanted.user, wanted.port))
    return with_values(
        found,
        {
            Unit(UNIT): UnitState("active", "enabled", wanted.generation),
            Listening(wanted.port): frozenset({UNIT}),
        },
    )


def cut(host: Machine, wanted: Service) -> None:
    """Leave behind what a run does that is cut when it has switched, and has not proved yet."""
    place(host, wanted)
    [command] = generations.switch(wanted, assumed())
    text = str(command)
    killed = text.replace("serves() {", "serves() { trap - EXIT; kill -9 $$;")
    assert killed != text
    assert host.run(StringCommand(killed)).returncode == -9
    assert current(host) == runs(host) == at(wanted)


def at(wanted: Service) -> str:
    return f"generations/{wanted.generation}"


def test_a_first_generation_is_placed_started_and_enabled(host: Machine) -> None:
    wanted = deploy(host, demo("serves"))
    assert current(host) == runs(host) == at(wanted)
    unit = host.at(f"/etc/systemd/system/{UNIT}")
    assert unit.read_text() == wanted.unit
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644
    assert told(host)[:2] == ["daemon-reload", f"--quiet enable {UNIT}"]
    assert told(host)[-1] == f"restart {UNIT}"


def test_a_secret_on_the_host_is_for_root_only(host: Machine) -> None:
    wanted = deploy(host, demo("serves"))
    generation = host.at(wanted.generation_path)
    modes = {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in generation.iterdir()}
    assert modes == {"environment": "600", UNIT: "644", "config": "640"}
    assert stat.S_IMODE(generation.stat().st_mode) == 0o750


def test_a_placed_generation_is_known_again(host: Machine) -> None:
    wanted = deploy(host, demo("serves"))
    tree = Tree(str(host.at(wanted.generations)))
    found = host.look(tree, root=True)
    assert drift.is_placed(wanted, assumed({Tree(wanted.generations): found[tree]}))


def test_a_controller_that_has_gone_is_no_reason_to_go_back(host: Machine) -> None:
    wanted = demo("serves", hooks=hooks("echo proved && grep -q serves current/config"))
    place(host, wanted)
    [command] = generations.switch(wanted, assumed())
    done = host.run(StringCommand(f"exec >/dev/full 2>&1\n{command}"))
    assert done.returncode == 0
    assert current(host) == f"generations/{wanted.generation}"


def test_the_last_generations_are_kept_and_software_that_none_of_them_uses_goes(
    host: Machine,
) -> None:
    for name in ("one", "unused"):
        host.at(f"{SOFTWARE}/{name}/bin").mkdir(parents=True)
    unit = f"[Service]\nExecStart={host.at(SOFTWARE)}/one/bin/demo\n"
    deployed = [deploy(host, demo(f"serves {number}", unit=unit)) for number in range(KEPT + 2)]
    assert kept(host) == {each.generation for each in deployed[-KEPT:]}
    assert [path.name for path in host.at(SOFTWARE).iterdir()] == ["one"]


@pytest.mark.parametrize("fault", ["deaf", "dies", "listens but is never ready"])
def test_one_that_does_not_serve_is_rolled_back(host: Machine, fault: str) -> None:
    good = deploy(host, demo("serves"))
    bad = demo(fault, unit="[Service]\n# new\n")
    assert place(host, bad).returncode == 0
    assert runs(host) == at(good), "placing touches nothing that runs"
    done = switch(host, bad)
    assert done.returncode == 1
    assert "its last words" in done.stderr
    assert f"rolled back to {good.generation}, which is ready" in done.stderr
    assert current(host) == runs(host) == at(good)
    assert "# new" not in host.at(f"/etc/systemd/system/{UNIT}").read_text()


def test_one_that_is_gone_back_to_may_have_another_port(host: Machine) -> None:
    good = deploy(host, demo("serves on 4001", port=4001))
    bad = demo("deaf", port=4002)
    place(host, bad)
    done = switch(host, bad)
    assert f"rolled back to {good.generation}, which is ready" in done.stderr
    assert runs(host) == at(good)


def test_a_start_that_has_failed_is_ended_before_what_served_comes_back(host: Machine) -> None:
    mark = 'readlink current >"$ROOT/abandoned"'
    good = deploy(host, demo("serves", hooks=hooks(abandon=mark)))
    assert not (host.root / "abandoned").exists()
    bad = demo("deaf", hooks=hooks(abandon=mark))
    place(host, bad)
    switch(host, bad)
    assert (host.root / "abandoned").read_text() == f"generations/{bad.generation}\n"
    assert runs(host) == at(good)


def test_one_that_dies_again_and_again_is_not_waited_for(host: Machine) -> None:
    deploy(host, demo("serves"))
    bad = demo("dies", seconds=600)  # after 30 real ones, the test fails
    place(host, bad)
    assert switch(host, bad).returncode == 1


def test_one_that_knows_that_it_never_will_is_not_waited_for(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    knows = f"(grep -q serves current/config || exit {NEVER})"
    bad = demo("listens", hooks=hooks(knows), seconds=600)  # after 30 real ones, the test fails
    place(host, bad)
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
    wanted = demo("serves")
    place(host, wanted)
    assert switch(host, wanted).returncode == 1


@pytest.mark.parametrize(
    "line",
    [
        f"0::/system.slice/{UNIT}/worker",
        f"1:name=systemd:/system.slice/{UNIT}",
        f"0::/mirrorfleet.slice/{UNIT}.slice/docker-1.scope",
        f"0::/{UNIT}.slice/1",
    ],
)
def test_a_service_is_known_by_its_control_group(host: Machine, line: str) -> None:
    host.at("/proc/7/cgroup").write_text(f"12:pids:/elsewhere\n{line}\n")
    deploy(host, demo("serves"))


def test_a_generation_is_asked_before_its_end_only_where_it_has_its_port(host: Machine) -> None:
    """What asks has the master key."""
    deploy(host, demo("serves"))
    ask = 'echo asked >>"$ROOT/asked"'
    new = demo("serves too", hooks=hooks(ask=ask))
    host.at("/proc/7/cgroup").write_text("0::/user.slice/user-1000.slice/session-1.scope\n")
    place(host, new)
    switch(host, new)
    assert not (host.root / "asked").exists()


def test_a_first_one_that_does_not_serve_is_stopped_and_nothing_is_current(host: Machine) -> None:
    bad = demo("deaf")
    place(host, bad)
    done = switch(host, bad)
    assert done.returncode == 1
    assert "rolled back" not in done.stderr
    assert (current(host), runs(host)) == (None, None)
    assert told(host)[-1] == f"stop {UNIT}"


def test_where_the_way_back_does_not_serve_either_that_is_said(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    host.at(f"{good.generation_path}/config").write_text("deaf")
    bad = demo("deaf", unit="[Service]\n# new\n")
    place(host, bad)
    done = switch(host, bad)
    assert done.returncode == 1
    assert f"{good.generation} is not ready either" in done.stderr
    assert "rolled back" not in done.stderr


def test_one_that_its_own_check_refuses_never_gets_a_name(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    before = told(host)
    done = place(host, demo("serves, but is refused"))
    assert done.returncode == 1
    assert "the new generation failed its check; the running one is unaffected" in done.stderr
    assert kept(host) == {good.generation}
    assert current(host) == runs(host) == at(good)
    assert told(host) == before


def test_one_for_which_the_disk_is_full_leaves_nothing_behind(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    host.add("tar", "echo 'tar: config: No space left on device' >&2; exit 2")
    done = place(host, demo("serves, too"))
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "free space below" in done.stderr
    assert kept(host) == {good.generation}


def test_the_check_has_the_environment_of_the_service(host: Machine) -> None:
    wanted = demo("serves", check=("sh", "-c", 'test "$KEY" = "se\\"cr\\$et"'))
    assert place(host, wanted).returncode == 0


def test_a_generation_that_was_tampered_with_is_replaced_and_restarted(host: Machine) -> None:
    wanted = deploy(host, demo("serves"))
    config = host.at(f"{wanted.generation_path}/config")
    config.write_text("evil")
    assert place(host, wanted).returncode == 0
    assert config.read_text() == "serves"
    assert current(host) == f"./{at(wanted)}", "until the switch, the restart is owed"
    assert host.at("/opt/mirrorfleet/demo/current/config").read_text() == "serves"
    assert kept(host) == {wanted.generation}
    restarts = told(host).count(f"restart {UNIT}")
    assert switch(host, wanted).returncode == 0
    assert current(host) == at(wanted)
    assert told(host).count(f"restart {UNIT}") == restarts + 1


def test_a_torso_of_a_cut_run_goes(host: Machine) -> None:
    host.at("/opt/mirrorfleet/demo/generations/0123456789ab.new").mkdir(parents=True)
    wanted = deploy(host, demo("serves"))
    assert kept(host) == {wanted.generation}


def test_a_drop_in_goes(host: Machine) -> None:
    drop_ins = host.at(f"/etc/systemd/system/{UNIT}.d")
    drop_ins.mkdir()
    (drop_ins / "override.conf").write_text("[Service]\nUser=root\n")
    deploy(host, demo("serves"))
    assert not drop_ins.exists()


def test_one_that_was_started_and_only_is_not_ready_yet_is_not_restarted(host: Machine) -> None:
    wanted = deploy(host, demo("serves"))
    before = told(host)
    answers = MACHINE | running(wanted)
    del answers["port", "4000"]
    assert run(host, generations.switch(wanted, observation_of(answers))).returncode == 0
    assert told(host) == before


def test_what_has_served_is_known(host: Machine) -> None:
    wanted = deploy(host, demo("serves"))
    assert generations.is_switched(wanted, look(host, wanted))
    assert served(host) == {wanted.generation}


def test_a_host_from_before_the_record_is_believed_and_its_current_one_the_way_back(
    host: Machine,
) -> None:
    old = deploy(host, demo("serves"))
    host.at(f"/opt/mirrorfleet/demo/served/{old.generation}").unlink()
    host.at("/opt/mirrorfleet/demo/served").rmdir()
    assert list(drift.changes(old, look(host, old))) == []
    bad = demo("dies")
    place(host, bad)
    assert f"rolled back to {old.generation}, which is ready" in switch(host, bad).stderr
    assert served(host) == {old.generation}


@pytest.mark.parametrize("fault", ["dies", "listens but is never ready"])
def test_after_a_run_that_was_cut_a_bad_one_goes_back_to_the_last_that_served(
    host: Machine, fault: str
) -> None:
    good = deploy(host, demo("serves"))
    bad = demo(fault)
    cut(host, bad)
    found = look(host, bad)
    [change] = drift.changes(bad, found)
    assert change.what == f"{UNIT} is not verified yet"
    done = run(host, generations.switch(bad, found))
    assert done.returncode == 1
    assert f"rolled back to {good.generation}, which is ready" in done.stderr
    assert current(host) == runs(host) == at(good)
    assert served(host) == {good.generation}


def test_after_a_run_that_was_cut_a_good_one_is_asked_and_not_restarted(host: Machine) -> None:
    wanted = demo("serves")
    cut(host, wanted)
    restarts = told(host)
    assert run(host, generations.switch(wanted, look(host, wanted))).returncode == 0
    assert told(host) == restarts
    assert generations.is_switched(wanted, look(host, wanted))


def test_after_a_run_that_was_cut_it_is_held_to_what_served_before(host: Machine) -> None:
    deploy(host, demo("serves"))
    behaves = hooks('grep -qx serves "$outcomes"', ask="cat current/config")
    wanted = demo("serves, too", hooks=behaves)
    cut(host, wanted)
    assert run(host, generations.switch(wanted, look(host, wanted))).returncode == 0


def test_what_a_killed_run_has_taken_back_meanwhile_is_not_taken_for_proved(host: Machine) -> None:
    good = deploy(host, demo("serves"))
    bad = demo("dies")
    cut(host, bad)
    found = look(host, bad)
    assert run(host, generations.switch(bad, found)).returncode == 1
    assert current(host) == at(good)
    assert run(host, generations.switch(bad, found)).returncode == 1
    assert served(host) == {good.generation}


def test_what_was_refused_is_never_gone_back_to_and_does_not_push_out_what_served(
    host: Machine,
) -> None:
    good = deploy(host, demo("serves"))
    refused = [demo(f"dies {number}") for number in range(KEPT)]
    for bad in refused:
        place(host, bad)
        assert switch(host, bad).returncode == 1
    new = deploy(host, demo("serves, too"))
    assert good.generation in kept(host)
    assert len(kept(host)) == KEPT
    assert run(host, generations.roll_back(new)).returncode == 0
    assert current(host) == runs(host) == at(good)


def test_a_script_waits_for_the_one_that_a_killed_run_left_behind(
    host: Machine, tmp_path: Path
) -> None:
    order = tmp_path / "order"
    lock = host.at("/var/lib/mirrorfleet/run/lock")
    lock.parent.mkdir()
    slow = f"exec 9>{lock}; flock 9; echo locked >{order}; sleep 0.5; echo first >>{order}"
    with subprocess.Popen(["sh", "-c", slow]):
        while not order.exists():
            time.sleep(0.01)
        assert host.run(script(f"echo second >>{order}")).returncode == 0
    assert order.read_text().split() == ["locked", "first", "second"]


def test_going_back_on_purpose_and_forward_again(host: Machine) -> None:
    old = deploy(host, demo("serves"))
    new = deploy(host, demo("serves, too"))
    assert run(host, generations.roll_back(new)).returncode == 0
    assert current(host) == runs(host) == at(old)
    assert switch(host, new).returncode == 0
    assert current(host) == runs(host) == at(new)


def test_there_may_be_nothing_to_go_back_to(host: Machine) -> None:
    only = deploy(host, demo("serves"))
    before = told(host)
    done = run(host, generations.roll_back(only))
    assert done.returncode == 1
    assert "there is no other verified generation" in done.stderr
    assert told(host) == before


def test_one_that_is_gone_back_to_and_does_not_serve_gives_way(host: Machine) -> None:
    old = deploy(host, demo("serves"))
    new = deploy(host, demo("serves, too"))
    host.at(f"{old.generation_path}/config").write_text("deaf")
    done = run(host, generations.roll_back(new))
    assert done.returncode == 1
    assert f"rolled back to {new.generation}, which is ready" in done.stderr
    assert current(host) == runs(host) == at(new)


def test_load_balancers_stay_away_until_it_has_proved_itself(host: Machine) -> None:
    held = host.root / "run/held"
    sees = f"([ $(stat -c %Y {held}) -gt $(date +%s) ])"
    wanted = demo("serves", draining=str(held), hooks=hooks(sees))
    assert place(host, wanted).returncode == 0
    assert switch(host, wanted).returncode == 0
    assert not held.exists()


def test_what_ran_before_is_asked_before_the_switch_and_the_last_doubt_is_told(
    host: Machine,
) -> None:
    deploy(host, demo("serves"))
    wanted = demo(
        "serves, too",
        hooks=hooks('echo "before it: $(cat "$outcomes")"', ask="cat current/config"),
    )
    assert place(host, wanted).returncode == 0
    done = switch(host, wanted)
    assert (done.returncode, done.stderr) == (0, "before it: serves\n")
