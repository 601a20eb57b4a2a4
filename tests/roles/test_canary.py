"""The canary: the figures of a session of two turns, and what a new generation loses of them."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirrorfleet.roles.proof import canary
from mirrorfleet.roles.proof.files import figures
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.service import NEVER
from tests.roles import programs
from tests.roles.machine import Machine
from tests.roles.test_generations import current, demo, hooks, kept, stage, switch
from tests.roles.test_generations import host as host  # the fixture
from tests.standins.vllm import Engine, served

ME = pwd.getpwuid(os.getuid()).pw_name

Json = dict[str, Any]


def session(url: str, user: str = ME, model: str = "tiny", **other: Any) -> Canary:
    """Return the canary of a stand-in at a URL."""
    asked = {**canary.target(model, 131072, tools=True), **other}
    base, _, port = url.rpartition(":")
    return Canary("demo", "vLLM", base, int(port), user, "KEY", 60, (asked,))


def program(
    job: str, engine: Engine, directory: Path, *more: str, **other: Any
) -> subprocess.CompletedProcess[str]:
    """Run the program as hosts get it: one text, in the directory of a service."""
    with served(engine) as url:
        of_engine = session(url, **other)
        place = f"{of_engine.url}:{of_engine.port}"
        return programs.run(
            [
                "env",
                "-C",
                str(directory),
                sys.executable,
                "-I",
                "-c",
                canary.PROGRAM,
                job,
                place,
                *more,
            ],
            json.dumps(of_engine.spec),
        )


def recorded(directory: Path, generation: str) -> Json:
    found: Json = json.loads((directory / f"figures/{generation}.json").read_text())
    return found


def engine(**other: Any) -> Engine:
    return Engine(**{"details": True, "written": 64, **other})


def figure(**other: Any) -> Json:
    usual = {"prompt": 7000, "first": 1.0, "second": 0.2, "rate": 0.99, "throughput": 40.0}
    return {**usual, "replicas": 1, "fault": "", **other}


def states(now: Json, before: Json | None) -> list[str]:
    return [finding.state for finding in figures.compared(now, before)]


def test_the_same_figures_are_ok() -> None:
    found = figures.compared(figure(), figure())
    assert [finding.state for finding in found] == ["ok"] * 4
    assert [finding.words for finding in found] == [
        "99%, before 99% (1.00 x)",
        "1.00 s, before 1.00 s (1.00 x)",
        "0.20 s, before 0.20 s (1.00 x)",
        "40 tokens/s, before 40 tokens/s (1.00 x)",
    ]


@pytest.mark.parametrize(
    ("now", "before", "state"),
    [
        (0.80, 0.99, "ok"),
        (0.79, 0.99, "failed"),
        (0.0, 0.99, "failed"),
        (0.41, 0.5, "ok"),
        (0.39, 0.5, "failed"),
        (0.0, 0.0, "not compared"),
        (0.5, None, "not compared"),
        (None, 0.99, "not reported"),
    ],
)
def test_a_fifth_of_the_hits_may_be_lost(
    now: float | None, before: float | None, state: str
) -> None:
    assert states(figure(rate=now), figure(rate=before))[0] == state


def test_another_replica_may_have_answered() -> None:
    [found, *_] = figures.compared(figure(rate=0.0, replicas=2), figure())
    assert found.state == "warning"
    assert found.note == "100% of its hits are lost, or another replica answered"


def test_slower_turns_are_only_reported() -> None:
    slow = figure(first=2.0, second=1.0, throughput=10.0)
    assert states(slow, figure()) == ["ok", "warning", "warning", "warning"]
    # 60 ms are not noticed.
    assert states(figure(second=0.08), figure(second=0.02))[2] == "ok"


@pytest.mark.parametrize("before", [None, {"fault": "503: busy"}])
def test_without_figures_before_nothing_is_compared(before: Json | None) -> None:
    assert states(figure(), before) == ["not compared"] * 4


def test_the_better_of_two_sessions_counts() -> None:
    slow, fast = figure(first=3.0, rate=0.5), figure(first=1.0, throughput=None)
    assert figures.best(slow, fast) == figure(first=1.0, rate=0.99)
    assert figures.best({"fault": "no answer"}, fast) == fast
    assert figures.best(slow, {"fault": "no answer"}) == slow


def test_recorded_figures_stay_where_a_measurement_has_none() -> None:
    kept_figures = {"a": figure(), "b": figure()}
    new = {"a": figure(rate=None), "b": figure(rate=0.5), "c": {"fault": "no answer"}}
    found = figures.merged(kept_figures, new)
    assert found == {"a": figure(), "b": figure(rate=0.5), "c": {"fault": "no answer"}}


@pytest.mark.parametrize("details", [True, False], ids=["usage", "metrics"])
def test_a_session_is_measured_and_recorded(tmp_path: Path, details: bool) -> None:
    done = program("compare", engine(details=details), tmp_path, "one")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tiny: canary: prefix cache 99%, first token ")
    found = recorded(tmp_path, "one")["models"]["tiny"]
    assert 0.97 < found["rate"] < 1
    assert found["prompt"] > canary.WORDS
    assert 0 < found["second"] < 5
    assert found["throughput"] > 0
    assert found["replicas"] == 1
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["one.json"]


def test_two_sessions_begin_with_other_tokens(tmp_path: Path) -> None:
    same = engine()
    for generation in ("one", "two"):
        assert program("measure", same, tmp_path, generation).returncode == 0
    prompts = [body for body in same.asked if len(json.dumps(body)) > 10_000]
    beginnings = [body["system"][0]["text"] for body in prompts]
    assert beginnings[0] == beginnings[1] != beginnings[2] == beginnings[3]


def test_a_lost_cache_ends_the_switch_and_says_how_to_accept_it(tmp_path: Path) -> None:
    program("measure", engine(), tmp_path, "one")
    forgets = engine(hits=False)
    done = program("compare", forgets, tmp_path, "two", "one")
    assert (done.returncode, done.stderr) == (NEVER, "")
    assert (
        "tiny: prefix cache failed, 0%, before 99% (0.00 x): 100% of its hits are lost"
        in done.stdout
    )
    assert "mirrorfleet apply --accept-cache-loss" in done.stdout
    # Three sessions of three turns: one disturbance rolls nothing back.
    assert len(forgets.asked) == 9
    accepted = program("compare", engine(hits=False), tmp_path, "two", "one", "yes")
    assert accepted.returncode == 0
    assert "the loss is accepted" in accepted.stdout


def test_an_engine_without_figures_is_not_compared(tmp_path: Path) -> None:
    program("measure", engine(), tmp_path, "one")
    silent = engine(details=False, reports=False)
    done = program("compare", silent, tmp_path, "two", "one")
    assert done.returncode == 0
    assert "prefix cache not reported" in done.stdout


def test_what_others_ask_does_not_count(tmp_path: Path) -> None:
    busy = engine(details=False, others=50_000)
    assert program("compare", busy, tmp_path, "one").returncode == 0
    found = recorded(tmp_path, "one")["models"]["tiny"]
    assert (found["rate"], found["reason"]) == (None, "others asked the engine at the same time")


def test_an_engine_that_refuses_stops_no_switch(tmp_path: Path) -> None:
    program("measure", engine(), tmp_path, "one")
    done = program("compare", engine(raises="user"), tmp_path, "two", "one")
    assert done.returncode == 0
    assert done.stdout.startswith("tiny: canary not measured: 400: ")


def test_a_model_that_a_server_does_not_have_is_not_asked(tmp_path: Path) -> None:
    other = engine()
    done = program("compare", other, tmp_path, "one", model="other")
    assert (done.returncode, done.stdout, other.asked) == (0, "", [])


def test_no_other_users_process_gets_the_key(tmp_path: Path) -> None:
    foreign = engine()
    done = program("compare", foreign, tmp_path, "one", user="daemon")
    assert (done.returncode, foreign.asked) == (0, [])
    assert "nothing listens, or another process" in done.stdout


@pytest.mark.parametrize("content", ["", "[]", '{"models": 1}', '{"models": {"tiny": 1}}', "\0"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/one.json").write_text(content)
    done = program("compare", engine(hits=False), tmp_path, "two", "one")
    assert (done.returncode, done.stderr) == (0, "")


def generation(directory: Path, name: str, release: str, *, age: int) -> None:
    """Write a verified generation of a service."""
    for folder in ("served", f"generations/{name}"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    marker = directory / f"served/{name}"
    marker.touch()
    os.utime(marker, (1_000_000 - age, 1_000_000 - age))
    unit = f"ExecStart=/opt/mirrorfleet/vllm/environments/{release}-0b656285/bin/vllm serve x\n"
    (directory / f"generations/{name}/mirrorfleet-vllm-tiny.service").write_text(unit)


def test_a_report_compares_with_the_last_other_generation(tmp_path: Path) -> None:
    for age, (name, release) in enumerate(
        {"now": "0.33.0", "before": "0.32.0-cpu", "old": "0.31.0"}.items()
    ):
        generation(tmp_path, name, release, age=age)
    (tmp_path / "current").symlink_to("generations/now")
    for name in ("now", "before", "old"):
        program("measure", engine(hits=name != "now"), tmp_path, name)
    done = program("report", engine(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["release"], found["generation"]) == ("0.33.0", "now")
    assert (found["before"]["release"], found["before"]["generation"]) == ("0.32.0-cpu", "before")
    assert found["before"]["models"]["tiny"]["rate"] > 0.97
    # Nothing was written.
    assert recorded(tmp_path, "now")["models"]["tiny"]["rate"] == 0


def test_a_report_without_another_generation_compares_with_when_it_was_new(tmp_path: Path) -> None:
    generation(tmp_path, "now", "0.33.0", age=0)
    (tmp_path / "current").symlink_to("generations/now")
    assert json.loads(program("report", engine(), tmp_path).stdout)["before"] is None
    program("measure", engine(), tmp_path, "now")
    found = json.loads(program("report", engine(), tmp_path).stdout)
    assert found["before"]["generation"] == "now"


class ByGeneration(Engine):
    """An engine whose cache works unless the current generation of the host is forgetful."""

    config: Callable[[], str]

    def usage(self, prompt: str) -> Json:
        self.hits = "forgetful" not in self.config()
        return super().usage(prompt)


@pytest.mark.slow
def test_a_generation_that_loses_the_cache_is_rolled_back(host: Machine) -> None:
    place = host.at("/opt/mirrorfleet/demo")
    moving = ByGeneration(details=True, written=64)
    moving.config = (place / "current/config").read_text
    host.add("python3", f'exec {sys.executable} "$@"')
    with served(moving) as url:
        own = canary.hooks(session(url))
        port = int(url.rpartition(":")[2])

        def service(config: str) -> Any:
            return demo(f"serves {config} on {port}", port=port, hooks=hooks() + own)

        first = service("well")
        assert stage(host, first).returncode == 0
        done = switch(host, first)
        assert (done.returncode, current(host)) == (0, f"generations/{first.generation}")
        assert "tiny: canary: prefix cache 99%" in done.stderr

        lost = service("forgetful")
        assert stage(host, lost).returncode == 0
        done = switch(host, lost)
        assert (done.returncode, current(host)) == (1, f"generations/{first.generation}")
        assert "100% of its hits are lost" in done.stderr
        assert f"rolled back to {first.generation}, which is ready" in done.stderr
        # What it was compared with was measured again, directly before the switch.
        assert recorded(place, first.generation)["models"]["tiny"]["rate"] > 0.97
        assert recorded(place, lost.generation)["models"]["tiny"]["rate"] == 0

        # Rolling back to a generation that has served measures nothing.
        asked = len(moving.asked)
        assert switch(host, first).returncode == 0
        assert len(moving.asked) == asked

        # The figures go with their generation.
        for number in range(4):
            other = service(f"well {number}")
            stage(host, other)
            assert switch(host, other).returncode == 0
        names = {path.stem for path in (place / "figures").iterdir()}
        assert names and names <= kept(host)
