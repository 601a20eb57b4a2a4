"""Tests of service removal: it comes last, and only once no client or gateway needs the service."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import click
import pytest
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs import decommission
from mirrorfleet.roles.ollama.render import ELSEWHERE
from mirrorfleet.runtime import service_removal
from mirrorfleet.runtime.facts import Services
from mirrorfleet.runtime.reserved import RELEASE
from mirrorfleet.runtime.shell import positional, shell
from tests.roles.answers import MACHINE, Answers, converged
from tests.roles.conftest import Planned
from tests.roles.fake import MIRROR, mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs
from tests.roles.machine import Machine


@pytest.fixture
def found(plans: Planned, project: Path, offline_cache: None) -> dict[str, Answers]:
    """Return the answers of the lab after a complete run."""
    answers = {name: converged(plan) for name, plan in plans("lab").hosts.items()}
    answers["gpu"] |= {("services", "vllm-*", "vllm-tiny"): ()}
    for gateway in ("gw-1", "gw-2"):
        answers[gateway] |= {("services", "litellm", "litellm"): ()}
    return answers


def test_services_in_the_fleet_file_stay(plans: Planned, found: dict[str, Answers]) -> None:
    assert not any(traffic.execs for traffic in mirror(plans("lab").hosts, found).values())


def test_a_gateway_is_removed_after_clients_change_and_an_engine_after_gateways(
    plans: Planned, found: dict[str, Answers], project: Path
) -> None:
    edit(project, "lab", "hosts: [gw-1, gw-2]", "hosts: [gw-2]")
    edit(project, "lab", "url: http://10.77.0.21:4000", "url: http://10.77.0.22:4000")
    edit(project, "lab", "hosts: [gpu]", "hosts: [gw-1]")
    done = mirror(plans("lab").hosts, found)
    assert {name: jobs(traffic)[-2:] for name, traffic in done.items()} == {
        "gpu": ["no ports", "no firewall rules"],
        "gw-1": ["restart", "removal"],
        "gw-2": ["generation", "restart"],
        "dev": ["home files"],
    }
    last = {name: traffic.execs[-1].number for name, traffic in done.items()}
    [gateway_removal, engine_removal] = [done["gw-1"].execs[-1], done["gpu"].execs[0]]
    assert last["gw-2"] < last["dev"] < gateway_removal.number < engine_removal.number
    assert "\nset -- litellm\n" in gateway_removal.command
    assert "\nset -- vllm-tiny\n" in engine_removal.command


def test_an_engine_stays_if_a_gateway_fails(
    plans: Planned, found: dict[str, Answers], project: Path
) -> None:
    found["gpu"] |= {("services", "vllm-*", "vllm-former"): ()}
    edit(project, "lab", "workers: 2", "workers: 3")
    failing = ["&& serves", "skipped because"]
    done = mirror(
        plans("lab").hosts, found, fail={"gw-1": failing, "gw-2": failing, "gpu": failing}
    )
    assert jobs(done["gpu"]) == ["skipped"]
    assert done["gpu"].failed


def test_a_run_announces_each_removal(
    plans: Planned, found: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    found["gpu"] |= {("services", "vllm-*", "vllm-former"): ()}
    with caplog.at_level(logging.INFO):
        mirror(plans("lab").hosts, found)
    output = [click.unstyle(line) for line in caplog.messages]
    line = "mirrorfleet-vllm-former.service will be stopped and removed"
    assert any(line in message for message in output)


def test_a_run_without_all_gateways_and_clients_removes_nothing(
    plans: Planned, found: dict[str, Answers], caplog: pytest.LogCaptureFixture
) -> None:
    found["gpu"] |= {("services", "vllm-*", "vllm-former"): ()}
    with caplog.at_level(logging.INFO):
        done = mirror(plans("lab").hosts, found, limit=["gpu"])
    assert {name: traffic.looks for name, traffic in done.items() if traffic.looks} == {"gpu": 1}
    assert jobs(done["gpu"]) == []
    output = "\n".join(map(click.unstyle, caplog.messages))
    assert "vllm-former.service will be removed once @fake/gw-1, @fake/gw-2, @fake/dev" in output


# A stand-in for systemd: units run until they stop. The unit `stubborn` cannot be stopped.
SYSTEMCTL = """\
echo "$*" >>"$ROOT/systemctl.log"
case "$*" in
    *stop*stubborn*) exit 1 ;;
    *stop*) touch "$ROOT/stopped $3" ;;
    *disable*--now*) touch "$ROOT/stopped $4" ;;
    *is-active*) [ ! -e "$ROOT/stopped $3" ] ;;
esac
"""


@pytest.fixture
def host(machine: Machine) -> Machine:
    machine.add("systemctl", SYSTEMCTL)
    for name in ("vllm-former", "vllm-stubborn", "vllm-tiny", "litellm"):
        machine.at(f"/opt/mirrorfleet/{name}/generations/1").mkdir(parents=True)
        machine.at(f"/opt/mirrorfleet/{name}/current").symlink_to("generations/1")
        machine.at(f"/etc/systemd/system/mirrorfleet-{name}.service").touch()
    machine.at("/opt/mirrorfleet/vllm/environments/1").mkdir(parents=True)
    machine.at("/opt/mirrorfleet/litellm/environments/1").mkdir(parents=True)
    machine.at("/var/lib/mirrorfleet/weights/former").mkdir(parents=True)
    return machine


def test_services_are_found_by_their_units_or_by_their_directories(host: Machine) -> None:
    host.at("/etc/systemd/system/mirrorfleet-vllm-former.service").unlink()
    host.at("/etc/systemd/system/mirrorfleet-vllm-incomplete.service").touch()
    observed = host.look_as_host(Services("vllm-*"), Services("litellm"))
    engines = {"vllm-former", "vllm-stubborn", "vllm-tiny", "vllm-incomplete"}
    assert observed[Services("vllm-*")] == engines
    assert observed[Services("litellm")] == {"litellm"}
    assert service_removal.removed("vllm-*", ["vllm-tiny"], observed) == [
        "vllm-former",
        "vllm-incomplete",
        "vllm-stubborn",
    ]
    assert service_removal.removed("litellm", ["litellm"], observed) == []


def remove(host: Machine, monkeypatch: pytest.MonkeyPatch, *names: str) -> int:
    monkeypatch.setattr(service_removal, "after_dependents", iter)
    [command] = service_removal.remove(names)
    return host.run(command).returncode


def test_removing_a_service_removes_its_secrets_and_keeps_software_and_weights(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remove(host, monkeypatch, "vllm-former", "litellm") == 0
    kept = [str(path.relative_to(host.at("/"))) for path in host.at("/opt/mirrorfleet").iterdir()]
    assert sorted(kept) == [
        f"opt/mirrorfleet/{name}" for name in ("litellm", "vllm", "vllm-stubborn", "vllm-tiny")
    ]
    assert [path.name for path in host.at("/opt/mirrorfleet/litellm").iterdir()] == ["environments"]
    assert host.at("/var/lib/mirrorfleet/weights/former").exists()
    log = (host.root / "systemctl.log").read_text()
    assert "stop mirrorfleet-vllm-former.service" in log
    assert log.splitlines()[-1] == "daemon-reload"


def test_a_service_that_cannot_be_stopped_keeps_its_files(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remove(host, monkeypatch, "vllm-stubborn") != 0
    assert host.at("/opt/mirrorfleet/vllm-stubborn/current").is_symlink()
    assert host.at("/etc/systemd/system/mirrorfleet-vllm-stubborn.service").exists()


REMOVE_HOSTS = MIRROR.with_name("remove_hosts.py")
INSTALLED: Answers = {
    ("services", "*", "firewall"): (),
    ("path", "/opt/mirrorfleet"): (),
    ("path", "/var/lib/mirrorfleet"): (),
    ("path", "/var/lib/mirrorfleet/weights"): (),
}


def test_a_host_in_use_is_not_decommissioned(plans: Planned, found: dict[str, Answers]) -> None:
    with pytest.raises(DeployError) as caught:
        mirror(plans("lab").hosts, found, deploy=REMOVE_HOSTS)
    for key in ("models.tiny.hosts", "gateway.hosts", "developers"):
        assert f"the fleet file still uses this host: {key}. Remove it" in str(caught.value)


def test_a_host_with_services_left_is_not_decommissioned(plans: Planned, project: Path) -> None:
    hosts = {"gpu": replace(plans("lab").hosts["gpu"], engines=())}
    with pytest.raises(DeployError, match="mirrorfleet-vllm-tiny"):
        mirror(
            hosts,
            {"gpu": MACHINE | INSTALLED | {("services", "*", "vllm-tiny"): ()}},
            deploy=REMOVE_HOSTS,
        )


def test_an_unused_host_is_decommissioned_once(plans: Planned, project: Path) -> None:
    hosts = {"gpu": replace(plans("lab").hosts["gpu"], engines=())}
    done = mirror(hosts, {"gpu": MACHINE | INSTALLED}, deploy=REMOVE_HOSTS)
    [decommission_exec] = done["gpu"].execs
    assert "\nset -- '!' -path /var/lib/mirrorfleet/weights\n" in decommission_exec.command
    assert "\nusers=''\n" in decommission_exec.command
    left = {words: () for words in INSTALLED if "/var/lib" in words[1]}
    assert mirror(hosts, {"gpu": MACHINE | left}, deploy=REMOVE_HOSTS)["gpu"].execs == []


def test_the_ollama_user_stays_if_its_models_are_in_another_directory(
    plans: Planned, project: Path
) -> None:
    hosts = {"gpu": replace(plans("lab").hosts["gpu"], engines=())}
    found = {"gpu": MACHINE | INSTALLED | {("path", ELSEWHERE): ()}}
    [decommission_exec] = mirror(hosts, found, deploy=REMOVE_HOSTS, data={"models": "remove"})[
        "gpu"
    ].execs
    assert "\nusers='vllm redis postgres litellm front'\n" in decommission_exec.command


def test_decommissioning_removes_all_but_weights_and_files_of_others(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.at("/usr/local/bin/claude").symlink_to(host.at("/opt/mirrorfleet/claude/2/claude"))
    host.at("/usr/local/bin/other").symlink_to("/opt/other")
    host.at("/var/lib/mirrorfleet/vllm-tiny").mkdir()
    host.at("/etc/systemd/system/mirrorfleet-vllm-stubborn.service").unlink()
    weights = "/var/lib/mirrorfleet/weights"
    text = positional("!", "-path", weights)
    text += RELEASE + shell(decommission.SCRIPTS / "decommission.sh", users="")
    assert host.run(StringCommand("set -eu\n" + text)).returncode == 0
    assert [path.name for path in host.at("/usr/local/bin").iterdir()] == ["other"]
    assert not host.at("/opt/mirrorfleet").exists()
    assert list(host.at("/etc/systemd/system").iterdir()) == []
    assert [path.name for path in host.at("/var/lib/mirrorfleet").iterdir()] == ["weights"]
