"""Two controllers at once: one waits and names the other; real scripts with real locks."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.pool import Pool
from pyinfra.api.exceptions import DeployError

from mirrorfleet.runtime import exclusive, run
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.shell import shell
from tests.waiting import until

Started = subprocess.Popen[bytes]
Hold = Callable[..., Started]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Return a function that holds a host in a directory for a run of somebody."""
    started: list[Started] = []

    def begin(
        holder: str = "ada@laptop", silence: int = 60, host: str = "gw-1", greeting: str = "true"
    ) -> Started:
        state = str(tmp_path / host)
        script = shell(exclusive.SCRIPT, holder=holder, silence=silence, state=state)
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(
                ["sh", "-c", f"{greeting}\n{script}"], stdin=pipe, stdout=pipe, bufsize=0
            )
        )
        return started[-1]

    yield begin
    for process in started:
        release(process)
        process.wait(timeout=60)
        if process.stdout:
            process.stdout.close()


def answer(process: Started) -> list[str]:
    assert process.stdout
    return process.stdout.readline().decode().rstrip("\n").split("\t")


def release(process: Started) -> None:
    """End the input of a command, as the end of an SSH connection does."""
    assert process.stdin
    process.stdin.close()


def test_a_second_run_gets_the_name_of_the_first(hold: Hold, tmp_path: Path) -> None:
    first = hold("ada@laptop")
    assert answer(first)[0] == "held"
    [busy, holder] = answer(hold("grace@desk"))
    assert busy == "busy"
    assert holder.startswith("ada@laptop, since ")
    assert holder.endswith(" UTC")
    assert (tmp_path / "gw-1/run").stat().st_mode & 0o777 == 0o700, "no other user can hold it"
    release(first)
    assert first.wait(timeout=60) == 0
    assert answer(hold("grace@desk"))[0] == "held"
    assert answer(hold())[1].startswith("grace@desk, since ")


def test_a_killed_controller_holds_nothing(hold: Hold) -> None:
    # The controller's process has the only other end of the pipe, as sshd has of a channel.
    reader, writer = os.pipe()
    controller = subprocess.Popen(["sleep", "600"], pass_fds=[writer])
    os.close(writer)
    first = hold()
    assert answer(first)[0] == "held"
    relay = subprocess.Popen(["cat"], stdin=reader, stdout=first.stdin)
    os.close(reader)
    release(first)
    assert answer(hold())[0] == "busy"
    os.kill(controller.pid, signal.SIGKILL)
    controller.wait()
    assert relay.wait(timeout=60) == 0
    assert first.wait(timeout=60) == 0
    assert answer(hold())[0] == "held"


@pytest.mark.slow
def test_a_silent_controller_holds_nothing_and_one_with_signs_of_life_does(hold: Hold) -> None:
    silent, other = hold(silence=1), hold(silence=6, host="gw-2")
    assert (answer(silent)[0], answer(other)[0]) == ("held", "held")
    assert other.stdin
    end = time.monotonic() + 8
    while time.monotonic() < end:
        time.sleep(0.5)
        other.stdin.write(exclusive.SIGN)
    assert silent.wait(timeout=60) == 0
    assert other.poll() is None


def test_a_run_learns_when_a_script_has_changed_the_host(hold: Hold, tmp_path: Path) -> None:
    (tmp_path / "gw-1").mkdir()
    record = tmp_path / "gw-1/applied"
    record.touch()
    os.utime(record, (time.time() - 500, time.time() - 500))
    assert 499 <= int(answer(hold())[1]) < 600


@dataclass(eq=False)
class HostOfRun:
    """What the lock needs of pyinfra's host."""

    name: str
    state: Any
    data: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def fleet(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    """Return a run's state and its hosts: commands run here, in a directory for each host."""

    def streams(host: Any, command: str) -> Any:
        process = hold("grace@desk", host=host.name)
        return process.stdin, process.stdout

    monkeypatch.setattr(exclusive, "_streams", streams)
    monkeypatch.setattr(exclusive, "PAUSE", 0.1)
    this = run.Run()
    monkeypatch.setattr(run, "current", lambda: this)
    state = SimpleNamespace(fact_pool=Pool(10))
    hosts: list[Any] = [HostOfRun(name, state) for name in ("gw-1", "gw-2")]
    this.observed = {host: assumed() for host in hosts}
    return state, hosts


def meet(condition: Callable[[], bool]) -> None:
    """Let the runs go on until a condition holds."""
    until(lambda: gevent.sleep(0.05) or condition(), "a run reports the other")


def test_the_second_run_waits_for_the_first_and_holds_nothing_meanwhile(
    hold: Hold, fleet: tuple[Any, list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    state, hosts = fleet
    first = hold("ada@laptop", host="gw-2")
    assert answer(first)[0] == "held"
    second = gevent.spawn(exclusive.take, state, hosts)
    meet(lambda: "waiting" in caplog.text)
    assert "gw-2: waiting for the run of ada@laptop, since " in caplog.text
    assert "gw-1" not in caplog.text
    third = hold("linus@tower", host="gw-1")
    assert answer(third)[0] == "held", "a waiting run holds no other host"
    release(first)
    meet(lambda: "linus@tower" in caplog.text)
    assert not second.ready()
    release(third)
    assert [host.name for host in second.get(timeout=60)] == ["gw-1", "gw-2"], "read again"
    assert answer(hold("ada@laptop"))[1].startswith("grace@desk, since ")


def test_unchanged_hosts_are_not_read_again(fleet: tuple[Any, list[Any]]) -> None:
    state, hosts = fleet
    now = time.time()
    run.current().observed = {host: replace(assumed(), during=(now, now)) for host in hosts}
    assert exclusive.take(state, hosts) == []


def test_a_run_that_waited_too_long_names_the_other(
    hold: Hold, fleet: tuple[Any, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, hosts = fleet
    monkeypatch.setattr(exclusive, "PATIENCE", 0)
    assert answer(hold("ada@laptop"))[0] == "held"
    with pytest.raises(DeployError) as raised:
        exclusive.take(state, hosts)
    assert str(raised.value).startswith("gw-1 is still being changed by ada@laptop, since ")
    assert "nothing was changed" in str(raised.value)


def test_a_greeting_of_the_login_shell_hides_no_holder(
    hold: Hold,
    fleet: tuple[Any, list[Any]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def greeted(host: Any, command: str) -> Any:
        process = hold("grace@desk", host=host.name, greeting="echo Welcome; echo; echo held up")
        return process.stdin, process.stdout

    monkeypatch.setattr(exclusive, "_streams", greeted)
    state, hosts = fleet
    first = hold("ada@laptop")
    assert answer(first)[0] == "held"
    second = gevent.spawn(exclusive.take, state, hosts)
    meet(lambda: "gw-1: waiting for the run of ada@laptop, since " in caplog.text)
    release(first)
    assert second.get(timeout=60) == hosts


def test_a_run_that_lost_its_lock_changes_nothing(
    fleet: tuple[Any, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive, "BEAT", 0.01)
    state, hosts = fleet
    exclusive.take(state, hosts)
    exclusive.assert_held()

    def is_lost() -> bool:
        try:
            exclusive.assert_held()
        except DeployError as error:
            return "gw-1" in str(error) and "gw-2" not in str(error)
        return False

    exclusive._holding()[hosts[0]].release()
    meet(is_lost)
