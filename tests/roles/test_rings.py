"""Rings: each changes after the one before it is proved; one that fails goes back, on @fake."""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs.rings import ask, record
from mirrorfleet.jobs.verify.targets import Target
from mirrorfleet.jobs.verify.turns import HostReport, Turn, kinds
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.observe import assumed
from tests.roles.answers import Answers, bare, converged, services
from tests.roles.conftest import Planned
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs
from tests.roles.test_verify import RECORDED

pytestmark = pytest.mark.usefixtures("offline_cache")

Outcome = Callable[[Target, str], str]
"""The name of a recorded turn for a target and a kind of turn."""


def well(target: Target, kind: str) -> str:
    return kind


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> list[Target]:
    """Record who asks; the answers are those of the real client."""
    caplog.set_level(logging.INFO)
    found: list[Target] = []
    answers(monkeypatch, found, well)
    return found


def answers(monkeypatch: pytest.MonkeyPatch, asked: list[Target], outcome: Outcome) -> None:
    def read(host: object, plan: HostPlan, chosen: Sequence[Target]) -> HostReport:
        asked.extend(chosen)
        turns = {(each.group, each.user): _turns(each, outcome) for each in chosen}
        login = dict.fromkeys(turns, ("/usr/local/bin/claude", ""))
        return HostReport(assumed(), turns, login)

    monkeypatch.setattr(ask, "_read", read)
    monkeypatch.setattr(ask, "_layers", list)
    monkeypatch.setattr(ask, "SETTLES", 0)


def _turns(target: Target, outcome: Outcome) -> dict[str, Turn]:
    found = {"version": _turn("version", target, ""), "doctor": _turn("doctor", target, "")}
    for model in target.models:
        for kind in kinds(target):
            found[f"{kind} {model.name}"] = _turn(outcome(target, kind), target, model.name)
    return found


def _turn(name: str, target: Target, model: str) -> Turn:
    text = RECORDED[{"answer": "stream", "pasted": "answer"}.get(name, name)]
    if not isinstance(text, str):
        text = "\n".join(map(json.dumps, text))
        text = text.replace('"tiny"', f'"{model}"').replace("131072", str(target.window))
    return Turn(0, name == "tool", text, "")


def broken(ring: str, recorded: str = "unknown-model") -> Outcome:
    """Return answers that fail behind the gateways of one ring."""
    return lambda target, kind: recorded if ring in target.headers else kind


@pytest.fixture
def found(plans: Planned) -> dict[str, Answers]:
    """Return the answers of the converged fleet, of which both rings are proved."""
    return {name: converged(plan) for name, plan in plans("rings").hosts.items()}


def run(
    plans: Planned, found: Mapping[str, Answers], **options: Any
) -> tuple[dict[str, Traffic], dict[str, list[str]]]:
    done = mirror(plans("rings").hosts, found, **options)
    return done, {name: jobs(traffic) for name, traffic in done.items() if traffic.execs}


def failed(done: Mapping[str, Traffic]) -> set[str]:
    return {name for name, traffic in done.items() if traffic.failed}


def output(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(" ".join(click.unstyle(line).split()) for line in caplog.messages)


def change_all(project: Path) -> None:
    """Change gateways, settings and policy of all hosts."""
    edit(project, "rings", "output: 8192", "output: 4096")


def change_settings(project: Path, user: str) -> None:
    """Change the settings of one developer."""
    edit(
        project, "rings", f"users: [{user}]", f"users: [{user}], settings: {{cleanupPeriodDays: 9}}"
    )


CHANGED = {
    "gw-a": ["generation", "restart", "record"],
    "gw-b": ["generation", "restart", "record"],
    "lb": ["record"],
    "dev-1": ["keep", "home files", "record"],
    "dev-2": ["keep", "home files", "record"],
}


def order(done: Mapping[str, Traffic], *names: str) -> list[str]:
    """Return the jobs of some hosts in the order in which they began, as "HOST JOB"."""
    every = sorted(
        (execution.number, f"{name} {job}")
        for name in names
        for execution, job in zip(done[name].execs, jobs(done[name]), strict=True)
    )
    return [text for _, text in every]


def test_the_second_ring_changes_after_the_first_is_proved(
    plans: Planned, project: Path, found: dict[str, Answers], asked: list[Target]
) -> None:
    change_all(project)
    done, changed = run(plans, found)
    assert changed == CHANGED
    assert failed(done) == set()
    assert [(each.user, each.headers, each.through) for each in asked] == [
        ("ada", "X-Mirrorfleet-Ring: canary only", ("gw-a",)),
        ("grace", "X-Mirrorfleet-Ring: rest only", ("gw-b",)),
    ]
    steps = order(done, "gw-a", "gw-b", "dev-1", "dev-2")
    assert steps.index("dev-1 record") < steps.index("gw-b generation")
    written = json.loads(done["gw-a"].execs[-1].stdin)
    assert (written["ring"], written["failed"]) == ("canary", None)
    assert written["proved"]["asked"] == "ada on dev-1"
    assert written["proved"]["clients"] == ["2.1.331"]
    assert written["proved"]["gateway"] == "1.106.12"
    assert set(written["proved"]["engines"]) == {"vllm-coder on gpu"}
    assert re.match(r"\S+@\S+$", written["proved"]["run"]["by"])


def test_a_ring_that_fails_goes_back_and_the_next_does_not_change(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    asked: list[Target],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = [service.generation for service in _gateway(plans)]
    edit(project, "rings", "workers: 2", "workers: 3")
    change_settings(project, "ada")
    answers(monkeypatch, asked, broken("canary"))
    done, changed = run(plans, found)
    assert changed == {
        "gw-a": ["generation", "restart", "restart", "unverify", "record"],
        "lb": ["record"],
        "dev-1": ["keep", "home files", "put back", "record"],
    }
    assert failed(done) == {"gw-a", "gw-b", "dev-1"}
    assert f"generation={before[0]}" in done["gw-a"].execs[2].command
    text = output(caplog)
    cause = (
        "ring 'canary' failed on @fake/dev-1: gateway: the gateway does not have the model 'coder'"
    )
    assert f"[@fake/dev-1] skipped: {cause}; this host went back. Correct the fleet file," in text
    assert (
        f"[@fake/gw-b] skipped: ring 'rest' stays as it is, because {cause}. Correct the fleet "
        "file, then run again."
    ) in text
    written = json.loads(done["dev-1"].execs[-1].stdin)
    assert written["proved"] is not None, "of the run before"
    assert written["failed"]["cause"] == cause


def _gateway(plans: Planned) -> Any:
    return services(plans("rings").hosts["gw-a"])


def test_keys_change_in_a_held_ring(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    asked: list[Target],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_all(project)
    edit(project, "rings", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    answers(monkeypatch, asked, broken("canary"))
    done, changed = run(plans, found)
    assert changed["gw-b"] == ["keys", "former keys"]
    assert changed["dev-2"] == ["home files"]
    assert "mirrorfleet-key" in _places(done["dev-2"])
    assert "settings.json" not in _places(done["dev-2"])


def _places(traffic: Traffic) -> str:
    """Return the calls that write into homes."""
    [packed] = [each.stdin for each in traffic.execs]
    content = io.BytesIO(gzip.decompress(base64.decodebytes(packed.encode())))
    with tarfile.open(fileobj=content) as archive:
        member = archive.extractfile("places")
        assert member
        return member.read().decode()


def test_the_last_ring_goes_back_alone(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    asked: list[Target],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edit(project, "rings", "workers: 2", "workers: 3")
    answers(monkeypatch, asked, broken("rest"))
    done, changed = run(plans, found)
    assert changed["gw-a"] == ["generation", "restart", "record"]
    assert changed["gw-b"] == ["generation", "restart", "restart", "unverify", "record"]
    assert failed(done) == {"gw-b"} | ({"dev-2"} & failed(done))


def test_a_gateway_that_fails_by_itself_fails_its_ring(
    plans: Planned, project: Path, found: dict[str, Answers], asked: list[Target]
) -> None:
    change_all(project)
    done, changed = run(plans, found, fail={"gw-a": ["begun="]})
    assert "restart" not in changed.get("gw-b", [])
    assert not asked
    assert {"gw-a", "gw-b", "dev-2"} <= failed(done)


def test_a_machine_that_fails_is_replaced_by_another_one_of_its_ring(
    plans: Planned, project: Path, asked: list[Target]
) -> None:
    edit(project, "rings", "  dev-2:", "  dev-0: {address: 10.0.0.7}\n  dev-2:")
    edit(project, "rings", "hosts: [dev-1]", "hosts: [dev-1, dev-0]")
    found = {name: converged(plan) for name, plan in plans("rings").hosts.items()}
    change_settings(project, "ada")
    done, _ = run(plans, found, fail={"dev-1": ["homes.json"]})
    assert [each.host for each in asked] == ["dev-0"]
    assert failed(done) == {"dev-1"}


def test_nothing_changes_if_no_machine_of_the_ring_is_ready(
    plans: Planned, project: Path, found: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    found["dev-1"] |= {("machine",): ("debian",)}
    edit(project, "rings", "workers: 2", "workers: 3")
    done, changed = run(plans, found)
    assert changed == {}
    assert failed(done) == {"gw-a", "gw-b", "dev-1"}
    assert "no developer's machine of ring 'canary' is ready" in output(caplog)


def test_a_machine_that_is_off_changes_later(
    plans: Planned, project: Path, found: dict[str, Answers], asked: list[Target]
) -> None:
    edit(project, "rings", "  dev-2:", "  dev-0: {address: 10.0.0.7}\n  dev-2:")
    edit(project, "rings", "hosts: [dev-1]", "hosts: [dev-1, dev-0]")
    found = {name: converged(plan) for name, plan in plans("rings").hosts.items()}
    change_all(project)
    done, changed = run(plans, found, lost=["dev-1"])
    assert failed(done) == set()
    assert [each.host for each in asked] == ["dev-0", "dev-2"]
    expected = {name: jobs for name, jobs in CHANGED.items() if name != "dev-1"}
    assert changed == expected | {"dev-0": CHANGED["dev-1"]}


def test_a_fleet_without_changes_needs_no_machine_to_be_on(
    plans: Planned, found: dict[str, Answers], asked: list[Target]
) -> None:
    done, changed = run(plans, found, lost=["dev-1", "dev-2"])
    assert (failed(done), changed, asked) == (set(), {}, [])


def test_a_ring_whose_machines_are_all_off_holds_itself_and_the_next(
    plans: Planned, project: Path, found: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    change_all(project)
    done, changed = run(plans, found, lost=["dev-1"])
    assert changed == {}
    assert failed(done) == {"gw-a", "gw-b", "dev-2"}
    assert "no developer's machine of ring 'canary' is ready" in output(caplog)


def test_the_first_ring_does_not_need_the_machines_of_the_last(
    plans: Planned, project: Path, found: dict[str, Answers], asked: list[Target]
) -> None:
    change_all(project)
    done, changed = run(plans, found, lost=["dev-2"])
    assert changed == {name: CHANGED[name] for name in ("gw-a", "lb", "dev-1")}
    assert [each.host for each in asked] == ["dev-1"]
    assert failed(done) == {"gw-b"}


def test_a_proved_ring_is_not_asked_again(
    plans: Planned, project: Path, found: dict[str, Answers], asked: list[Target]
) -> None:
    edit(
        project,
        "rings",
        "users: [grace], model",
        "users: [grace], settings: {cleanupPeriodDays: 9}, model",
    )
    _, changed = run(plans, found)
    assert changed == {"dev-2": ["keep", "home files", "record"], "gw-b": ["record"]}
    assert [each.user for each in asked] == ["grace"]


def test_a_run_that_was_cut_is_proved_by_the_next_or_goes_back(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    asked: list[Target],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    former = found["gw-a"]
    before = _gateway(plans)[0].generation
    edit(project, "rings", "workers: 2", "workers: 3")
    after = {name: converged(plan) for name, plan in plans("rings").hosts.items()}
    cut = found | {"gw-a": after["gw-a"] | {record.FACT.key: former[record.FACT.key]}}
    cut["gw-a"] |= {key: value for key, value in former.items() if before in "".join(key)}
    answers(monkeypatch, asked, broken("canary"))
    done, changed = run(plans, cut)
    assert changed == {
        "gw-a": ["restart", "unverify", "record"],
        "lb": ["record"],
        "dev-1": ["record"],
    }
    assert f"generation={before}" in done["gw-a"].execs[0].command


def test_an_answer_that_takes_much_longer_fails_the_ring(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    asked: list[Target],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    edit(project, "rings", "workers: 2", "workers: 3")
    monkeypatch.setattr(ask, "seconds_of", lambda turns, model: 12.5)
    run(plans, found)
    assert "'coder' takes 12.5 s for an answer; before the change, 2.0 s" in output(caplog)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (
            ["gw-b", "dev-2"],
            "gw-b: changes in ring 'rest', but --limit leaves out the developers' machines of "
            "ring 'canary', with which Claude Code asks before. Add one of them to --limit: "
            "@fake/dev-1.",
        ),
        (["gw-a"], "gw-a: changes in ring 'canary', but --limit leaves out"),
    ],
)
def test_a_limit_that_leaves_out_who_asks_is_refused(
    plans: Planned, project: Path, found: dict[str, Answers], limit: list[str], message: str
) -> None:
    edit(project, "rings", "workers: 2", "workers: 3")
    with pytest.raises(DeployError, match=re.escape(message)):
        run(plans, found, limit=limit)


def test_a_limit_may_leave_out_the_rest_of_a_proved_ring(
    plans: Planned, project: Path, found: dict[str, Answers], asked: list[Target]
) -> None:
    edit(
        project,
        "rings",
        "users: [grace], model",
        "users: [grace], settings: {cleanupPeriodDays: 9}, model",
    )
    _, changed = run(plans, found, limit=["dev-1", "dev-2"])
    assert changed == {"dev-2": ["keep", "home files", "record"]}


def test_a_first_run_proves_each_ring(plans: Planned, asked: list[Target]) -> None:
    hosts = plans("rings").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    assert failed(done) == set()
    assert [each.user for each in asked] == ["ada", "grace"]
    steps = order(done, "gw-a", "lb", "dev-1", "gw-b", "dev-2")
    assert steps.index("lb restart") < steps.index("dev-1 record") < steps.index("gw-b restart")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"proved": 3}', '{"proved": {}}', '{"failed": {"run": {"x": 1}}}'],
)
def test_a_broken_record_counts_as_none(text: str) -> None:
    assert record.read(text.encode()) == record.Record()
