"""Ollama on its hosts: execs of a run, repairs, and skipped hosts."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import click
import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.ollama import models
from tests.roles.answers import MACHINE, Answers, bare, converged
from tests.roles.conftest import Planned
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs

pytestmark = pytest.mark.usefixtures("offline_cache")

PACKAGES, USER, UPLOAD = ["packages"], ["user"], ["inbox", "take"]
TAGS = "http://10.0.0.2:11434/api/tags"


def on_box(hosts: dict[str, HostPlan], answers: Answers) -> Traffic:
    """Run mirror.py with these answers of `box`; the other host is converged."""
    return mirror(hosts, {"gpu": converged(hosts["gpu"]), "box": answers})["box"]


def test_the_first_run(plans: Planned) -> None:
    hosts = plans("ollama").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    service = ["generation", "restart", "models"]
    assert {name: jobs(traffic) for name, traffic in done.items()} == {
        "gpu": ["ports", *PACKAGES, *USER, *UPLOAD, "directory", *service],
        "box": ["ports", *PACKAGES, *USER, *UPLOAD, *service],
    }
    assert {name: len(traffic.uploads) for name, traffic in done.items()} == {"gpu": 1, "box": 1}


def test_a_host_with_internet_access_downloads_the_release(plans: Planned, project: Path) -> None:
    edit(project, "ollama", "packages: controller", "packages: registry")
    hosts = plans("ollama").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    assert jobs(done["gpu"])[3:4] == ["download"]
    assert jobs(done["box"])[3:5] == UPLOAD, "a file of the controller is on the controller"


def test_a_new_window_of_one_model_restarts_nothing(plans: Planned, project: Path) -> None:
    found = converged(plans("ollama").hosts["box"])
    edit(project, "ollama", "context: 32768", "context: 16384")
    assert jobs(on_box(dict(plans("ollama").hosts), found)) == ["models"]


def test_a_model_that_was_removed_from_the_file_is_removed(plans: Planned, project: Path) -> None:
    found = converged(plans("ollama").hosts["gpu"])
    edit(project, "ollama", "hosts: [gpu, box]", "hosts: [box]")
    hosts = plans("ollama").hosts
    done = mirror(hosts, {"gpu": found, "box": converged(hosts["box"])})
    assert jobs(done["gpu"]) == ["models"]
    [make] = done["gpu"].execs
    assert [model["name"] for model in json.loads(make.stdin)] == ["coder"]


def test_another_release_is_unpacked_beside_the_old_one(plans: Planned, project: Path) -> None:
    found = converged(plans("ollama").hosts["box"])
    edit(project, "ollama", "version: 0.40.1", "version: 0.40.2")
    assert jobs(on_box(dict(plans("ollama").hosts), found)) == [
        *UPLOAD,
        "generation",
        "restart",
        "models",
    ]


def content(value: object) -> tuple[str]:
    return (base64.b64encode(json.dumps(value).encode()).decode(),)


WRONG: dict[str, tuple[Answers, list[str]]] = {
    "the server sends an empty response": ({("answer", TAGS): ("",)}, ["models"]),
    "another server responds": ({("answer", TAGS): content([1])}, ["models"]),
    "a model is missing": ({("answer", TAGS): content({"models": []})}, ["models"]),
    "the ledger is empty": ({("content", models.LEDGER): content({})}, ["models"]),
    "it does not listen (yet)": ({("port", "11434"): ("?",)}, ["prove", "models"]),
    "it is stopped": (
        {("unit", "mirrorfleet-ollama.service"): ("inactive", "enabled", "", "no", "")},
        ["restart", "models"],
    ),
}


@pytest.mark.parametrize(("wrong", "repair"), WRONG.values(), ids=WRONG.keys())
def test_it_is_repaired(plans: Planned, wrong: Answers, repair: list[str]) -> None:
    hosts = dict(plans("ollama").hosts)
    answers = converged(hosts["box"])
    for question, fields in wrong.items():
        del answers[question]
        if fields != ("?",):
            answers[question] = fields
    assert jobs(on_box(hosts, answers)) == repair


def test_models_outside_the_ledger_cause_no_change(plans: Planned) -> None:
    hosts = dict(plans("ollama").hosts)
    answers = converged(hosts["box"])
    tags = json.loads(base64.b64decode(answers["answer", TAGS][0]))
    tags["models"].append({"name": "mine:latest", "digest": "1"})
    answers["answer", TAGS] = content(tags)
    assert jobs(on_box(hosts, answers)) == []


def skipped(hosts: dict[str, HostPlan], answers: Answers, caplog: pytest.LogCaptureFixture) -> str:
    """Return the output of a run that skips Ollama on the box."""
    box = on_box(hosts, answers)
    assert box.failed and "generation" not in jobs(box)
    return click.unstyle(caplog.text)


def refusal(hosts: dict[str, HostPlan], answers: Answers) -> str:
    with pytest.raises(DeployError) as caught:
        on_box(hosts, answers)
    return str(caught.value)


def test_a_file_with_another_digest_is_not_sent(plans: Planned, project: Path) -> None:
    (project / "release.tar.zst").write_text("evil\n")
    hosts = dict(plans("ollama").hosts)
    message = refusal(hosts, bare(hosts["box"]))
    assert "release.tar.zst is not the expected release: its sha256 is " in message
    (project / "release.tar.zst").unlink()
    assert "release.tar.zst: No such file" in refusal(hosts, bare(hosts["box"]))


def test_a_processor_without_a_release(plans: Planned, caplog: pytest.LogCaptureFixture) -> None:
    hosts = dict(plans("ollama").hosts)
    risc = {("machine",): ("debian", "13", "riscv64", "2", "4096")}
    output = skipped(hosts, bare(hosts["box"]) | risc, caplog)
    assert "the architecture is riscv64, but Ollama 0.40.1 is known for x86_64" in output


def test_a_port_that_another_process_uses(plans: Planned, caplog: pytest.LogCaptureFixture) -> None:
    hosts = dict(plans("ollama").hosts)
    taken = {("port", "11434"): ("ollama.service",)}
    output = skipped(hosts, bare(hosts["box"]) | MACHINE | taken, caplog)
    assert "box] skipped: port 11434 is in use by ollama.service" in output
