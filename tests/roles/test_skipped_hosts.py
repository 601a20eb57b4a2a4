"""Skipped hosts: an engine host with a problem, and services that newly need it; others go on."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.claude.machine_files import ASSIGNMENT_LIST, POLICY
from mirrorfleet.roles.litellm.needs import FILES
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.roles.vllm import software
from mirrorfleet.runtime import secrets
from mirrorfleet.runtime.text import environment_file
from tests.roles.answers import Answers, converged, observation_of
from tests.roles.conftest import Planned
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs

pytestmark = pytest.mark.usefixtures("offline_cache")


def content(text: str) -> tuple[str]:
    return (base64.b64encode(text.encode()).decode(),)


def gateway_files(plan: HostPlan) -> Answers:
    """Return the answers about the running generation of a gateway."""
    assert plan.gateway
    service = Litellm().render(plan.gateway, observation_of(converged(plan)))
    texts = (service.files["config.yaml"], environment_file(service.environment))
    return {file.key: content(text) for file, text in zip(FILES, texts, strict=True)}


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def found(plans: Planned) -> dict[str, Answers]:
    """Return the answers of the converged production."""
    hosts = plans("prod").hosts
    answers = {name: converged(plan) for name, plan in hosts.items()}
    for name in ("gw-a", "gw-b"):
        answers[name] |= gateway_files(hosts[name])
    return answers


def lose_gpus(found: dict[str, Answers], *names: str) -> None:
    for name in names:
        found[name] = {key: value for key, value in found[name].items() if key[0] != "gpus"}


def run(
    plans: Planned, found: Mapping[str, Answers], **other: dict[str, list[str]]
) -> tuple[dict[str, Traffic], dict[str, list[str]]]:
    """Return the traffic of all hosts, and the jobs of hosts with any."""
    done = mirror(plans("prod").hosts, found, **other)  # type: ignore[arg-type]
    return done, {name: jobs(traffic) for name, traffic in done.items() if traffic.execs}


def failed(done: Mapping[str, Traffic]) -> set[str]:
    return {name for name, traffic in done.items() if traffic.failed}


def log_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [" ".join(click.unstyle(line).split()) for line in caplog.messages]


def test_an_engine_host_without_its_gpus_delays_no_revocation_and_no_rotation(
    plans: Planned, project: Path, found: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    lose_gpus(found, "gpu-c")
    for name in ("dev-1", "dev-2"):
        found[name]["assignments", ASSIGNMENT_LIST, "grace"] = (".claude",)
    edit(project, "prod", "users: [ada, grace]", "users: [ada]")
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    done, changed = run(plans, found)
    assert changed == {
        "gw-a": ["keys", "former keys"],
        "gw-b": ["keys", "former keys"],
        "dev-1": ["home files", "machine files"],
        "dev-2": ["home files", "machine files"],
    }
    keys = json.loads(json.loads(done["gw-a"].execs[0].stdin)["keys"])["keys"]
    assert [key["name"] for key in keys] == ["ada"]
    assert failed(done) == {"gpu-c"}
    message = "[@fake/gpu-c] skipped: no NVIDIA GPU is visible (nvidia-smi), but 'helper' needs 2."
    assert sum(line.startswith(message) for line in log_lines(caplog)) == 2, (
        "at once, and at the end"
    )


@pytest.mark.parametrize("problem", ["driver", "disk", "weights", "clock", "port"])
def test_other_hosts_are_changed_whatever_the_problem_of_an_engine_host(
    plans: Planned, project: Path, found: dict[str, Answers], problem: str
) -> None:
    weights = "/srv/models/qwen3-coder-30b"
    answers = found["gpu-c"]
    match problem:
        case "driver":
            answers |= {("gpus", "nvidia-smi", "gpu", at): ("81559", "550.163.01") for at in "01"}
        case "disk":
            [engine] = plans("prod").hosts["gpu-c"].engines_of(VllmPlan)
            directory = software.environment(engine).directory
            del answers["environment", directory, directory]
            answers |= {("disk", "/opt/mirrorfleet"): ("1000",)}
        case "weights":
            del answers["shared", weights, ""]
        case "clock":
            answers |= {("clock",): ("1000",)}
        case "port":
            answers |= {("port", "8000"): ("nginx.service",)}
    edit(project, "prod", "workers: auto", "workers: 3")
    done, changed = run(plans, found)
    assert changed == {name: ["generation", "restart"] for name in ("gw-a", "gw-b")}
    assert failed(done) == {"gpu-c"}


def test_an_engine_that_fails_in_the_run_delays_no_gateway_that_already_uses_it(
    plans: Planned, project: Path, found: dict[str, Answers]
) -> None:
    edit(project, "prod", "tensor_parallel: 2", "tensor_parallel: 1")
    edit(project, "prod", "workers: auto", "workers: 3")
    done, changed = run(plans, found, fail={"gpu-c": ["begun="]})
    assert changed == {name: ["generation", "restart"] for name in ("gpu-c", "gw-a", "gw-b")}
    assert failed(done) == {"gpu-c"}


NEW = {
    "a larger window": ("context: 131072", "context: 262144", "helper"),
    "another key": ("MODEL_KEY", "", "helper"),
    "another port": ("tensor_parallel: 2", "tensor_parallel: 2\n    port: 8100", "helper"),
}


@pytest.mark.parametrize(("old", "new", "model"), NEW.values(), ids=NEW.keys())
def test_a_gateway_that_newly_needs_a_skipped_engine_changes_only_its_keys(
    plans: Planned,
    project: Path,
    found: dict[str, Answers],
    old: str,
    new: str,
    model: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose_gpus(found, "gpu-c")
    if new:
        edit(project, "prod", old, new)
    else:
        monkeypatch.setenv("ENGINE_KEY", "another-key-of-the-engines")
        secrets._reveal.cache_clear()
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    done, changed = run(plans, found)
    for name in ("gw-a", "gw-b"):
        assert changed[name] == ["keys", "former keys"]
    assert changed["dev-1"] == changed["dev-2"] == ["home files"]
    assert {"gw-a", "gw-b", "gpu-c"} <= failed(done)
    cause = f"the new one needs '{model}' on @fake/gpu-c. Fix @fake/gpu-c, then run again."
    assert (
        f"[@fake/gw-a] skipped: the gateway keeps its running generation, because {cause}"
        in log_lines(caplog)
    )
    lines = log_lines(caplog)
    assert any(line.endswith(f"keeps its running generation, because {cause}") for line in lines)
    assert "LiteLLM: mirrorfleet-litellm.service will be restarted" not in lines


def test_a_new_replica_on_a_skipped_host_gets_no_traffic(
    plans: Planned, project: Path, found: dict[str, Answers]
) -> None:
    edit(project, "prod", "hosts: [gpu-a, gpu-b]", "hosts: [gpu-a]")
    before = plans("prod").hosts
    found |= {name: converged(before[name]) for name in ("gpu-b", "gw-a", "gw-b")}
    for name in ("gw-a", "gw-b"):
        found[name] |= gateway_files(before[name])
    edit(project, "prod", "hosts: [gpu-a]", "hosts: [gpu-a, gpu-b]")
    lose_gpus(found, "gpu-b")
    done, changed = run(plans, found)
    assert "restart" not in [job for value in changed.values() for job in value]
    assert failed(done) == {"gpu-b", "gw-a", "gw-b"}


GROUPS = """\
  platform: {hosts: [dev-1], users: [ada], model: opus, version: 2.1.331}
  quick: {hosts: [dev-2], users: [grace], model: haiku, version: 2.1.331}
"""


@pytest.fixture
def groups(plans: Planned, project: Path, found: dict[str, Answers]) -> dict[str, Answers]:
    """Set two groups on two hosts: `platform` starts with `coder`, `quick` with `helper`."""
    both = "platform: {hosts: [dev-1, dev-2], users: [ada, grace], model: sonnet, version: 2.1.331}"
    edit(project, "prod", f"  {both}\n", GROUPS)
    edit(project, "prod", "haiku: helper", "haiku: cloud")
    edit(project, "prod", "model: haiku", "model: helper")
    hosts = plans("prod").hosts
    for name in ("dev-1", "dev-2", "gw-a", "gw-b"):
        found[name] = converged(hosts[name])
        if hosts[name].gateway:
            found[name] |= gateway_files(hosts[name])
    return found


def test_clients_of_other_models_are_changed(
    plans: Planned, project: Path, groups: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    lose_gpus(groups, "gpu-c")
    edit(project, "prod", "output: 16384", "output: 8192")  # of helper
    edit(project, "prod", "model: opus", "settings: {cleanupPeriodDays: 9}, model: opus")
    done, changed = run(plans, groups)
    assert changed == {"dev-1": ["home files"]}
    assert failed(done) == {"gpu-c", "gw-a", "gw-b", "dev-2"}
    assert any(
        line.startswith("[@fake/dev-2] skipped: the settings of ~grace/.claude stay as they are")
        for line in log_lines(caplog)
    )


def test_a_client_is_changed_if_it_already_uses_the_model_and_skipped_if_it_newly_needs_it(
    plans: Planned, project: Path, groups: dict[str, Answers]
) -> None:
    lose_gpus(groups, "gpu-c")
    edit(project, "prod", "model: opus", "model: helper")
    edit(
        project,
        "prod",
        "users: [grace], model",
        "users: [grace], settings: {cleanupPeriodDays: 9}, model",
    )
    done, changed = run(plans, groups)
    # The groups no longer agree on a tier without an alias: gateways answer no foreign ids of it.
    gateways = {name: ["generation", "restart"] for name in ("gw-a", "gw-b")}
    assert changed == {"dev-2": ["home files"], **gateways}
    assert failed(done) == {"gpu-c", "dev-1"}


def test_a_policy_is_skipped_like_settings(
    plans: Planned, project: Path, groups: dict[str, Answers]
) -> None:
    edit(project, "prod", "model: opus", "scope: managed, model: opus")
    managed = plans("prod").hosts["dev-1"]
    assert managed.clients and managed.clients.managed
    groups["dev-1"] = converged(managed)
    now = json.dumps(managed.clients.managed.settings, default=dict)
    groups["dev-1"]["content", POLICY] = content(now)
    lose_gpus(groups, "gpu-c")
    edit(project, "prod", "scope: managed, model: opus", "scope: managed, model: helper")
    done, changed = run(plans, groups)
    assert "dev-1" not in changed
    assert "dev-1" in failed(done)


def test_nothing_is_removed_while_an_engine_host_is_skipped(
    plans: Planned, found: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    lose_gpus(found, "gpu-c")
    found["gpu-a"]["services", "vllm-*", "vllm-former"] = ()
    _, changed = run(plans, found)
    assert changed == {}
    what = "mirrorfleet-vllm-former.service will be removed once @fake/gpu-c"
    assert any(what in message for message in log_lines(caplog))


def test_a_problem_of_a_gateway_still_ends_the_run(
    plans: Planned, project: Path, found: dict[str, Answers]
) -> None:
    lose_gpus(found, "gpu-c")
    found["gw-b"] |= {("port", "4000"): ("nginx.service",)}
    with pytest.raises(DeployError, match="gw-b: port 4000 is in use by nginx"):
        run(plans, found)


def test_a_host_of_engines_or_developers_with_an_invalid_answer_is_skipped(
    plans: Planned, project: Path, found: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    nonsense: Answers = {("machine",): ("debian",)}
    found["gpu-c"] |= nonsense
    found["dev-2"] |= nonsense
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    done, changed = run(plans, found)
    assert changed == {
        "gw-a": ["keys", "former keys"],
        "gw-b": ["keys", "former keys"],
        "dev-1": ["home files"],
    }
    assert failed(done) == {"gpu-c", "dev-2"}
    assert json.loads(done["gw-a"].execs[-1].stdin)["reached"] == []
    assert any(
        "[@fake/dev-2] skipped: the host's answer is invalid" in x for x in log_lines(caplog)
    )


def test_a_gateway_with_an_invalid_answer_ends_the_run(
    plans: Planned, found: dict[str, Answers]
) -> None:
    found["gw-b"] |= {("machine",): ("debian",)}
    with pytest.raises(DeployError, match="gw-b: the host's answer is invalid"):
        run(plans, found)


LAPTOP: dict[str, Answers] = {
    "a foreign command": {
        ("path", "/usr/local/bin/claude"): (),
        ("link", "/usr/local/bin/claude"): ("/x",),
    },
    "an unknown processor": {("machine",): ("debian", "13", "riscv64", "2", "4096")},
    "macOS": {("machine",): ("macos", "26.1", "arm64", "2", "4096")},
}


@pytest.mark.parametrize("odd", LAPTOP.values(), ids=LAPTOP.keys())
def test_an_unsuitable_machine_of_developers_is_skipped(
    plans: Planned, project: Path, found: dict[str, Answers], odd: Answers
) -> None:
    found["dev-1"] |= odd
    edit(project, "prod", "MIRRORFLEET_KEY_ROOT}", "MIRRORFLEET_KEY_ROOT}, rotation: 2")
    edit(project, "prod", "workers: auto", "workers: 3")
    done, changed = run(plans, found)
    assert changed == {
        "gw-a": ["keys", "generation", "restart", "former keys"],
        "gw-b": ["keys", "generation", "restart", "former keys"],
        "dev-2": ["home files"],
    }
    assert failed(done) == {"dev-1"}
    assert json.loads(done["gw-a"].execs[-1].stdin)["reached"] == []
