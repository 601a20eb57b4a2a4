"""What needs no secret works on a machine that has none of the fleet's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet import lock_folders
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles import registry
from mirrorfleet.roles.claude import client
from mirrorfleet.runtime import paths, secrets
from mirrorfleet.runtime.observe import assumed
from tests.roles.answers import MACHINE, Answers, converged, observation_of, served
from tests.roles.conftest import Planned
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import ROOT, SECRETS, stand_in
from tests.roles.jobs import jobs

DEPLOYS = ROOT / "deploys"
LOCK_OF = client._lock
FLEETS = ("lab", "prod", "front", "docker", "database", "redis", "ollama")

Forgetful = Callable[[], None]


@pytest.fixture
def forget(project: Path, monkeypatch: pytest.MonkeyPatch) -> Forgetful:
    """Take every secret of the fleets away, and every lock file of a release."""
    for service in ("claude", "litellm", "vllm"):
        shutil.copytree(lock_folders.SHIPPED / service / "locks", project / "locks" / service)

    def gone() -> None:
        shutil.rmtree(project / "locks")
        monkeypatch.setattr(client, "_lock", LOCK_OF)
        for name in SECRETS:
            monkeypatch.delenv(name, raising=False)
        shutil.rmtree(project / ".lab" / "secrets")
        (project / "tls" / "llm.key").unlink()
        stand_in(project / "bin" / "op", "exit 1")
        secrets._reveal.cache_clear()
        secrets._reveal_text.cache_clear()

    return gone


def with_former(hosts: dict[str, HostPlan]) -> dict[str, Answers]:
    """Hosts as a complete run leaves them, each service with a generation that served before."""
    return {name: _with_former(plan) for name, plan in hosts.items()}


def _with_former(plan: HostPlan) -> Answers:
    found = converged(plan)
    for service in registry.services(plan, assumed()):
        found |= served(service.name, "0123456789ab")
        former = f"{service.directory}/generations/0123456789ab"
        found |= {("file", former): ("d 750 root:root", "")}
    return found


def gone_back(done: dict[str, Traffic]) -> dict[str, list[str]]:
    return {name: jobs(traffic) for name, traffic in done.items() if traffic.execs}


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("name", FLEETS)
def test_every_service_rolls_back_without_a_secret(
    plans: Planned, forget: Forgetful, name: str
) -> None:
    hosts = dict(plans(name).hosts)
    found = with_former(hosts)
    forget()
    having: dict[str, list[str]] = {}
    for host, plan in hosts.items():
        for service in registry.services(plan, assumed()):
            having.setdefault(service.name, []).append(host)
    assert having
    for service_name, on in having.items():
        done = mirror(hosts, found, deploy=DEPLOYS / "rollback.py", data={"service": service_name})
        assert gone_back(done) == {host: ["restart"] for host in on}, service_name
        assert not any(traffic.failed for traffic in done.values())


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("deploy", ["remove_clients", "remove_weights", "verify_weights"])
@pytest.mark.parametrize("name", FLEETS)
def test_what_removes_or_reads_needs_no_secret(
    plans: Planned, forget: Forgetful, name: str, deploy: str
) -> None:
    hosts = dict(plans(name).hosts)
    found = with_former(hosts)
    forget()
    done = mirror(hosts, found, deploy=DEPLOYS / f"{deploy}.py")
    assert all(traffic.looks == 1 and not traffic.failed for traffic in done.values())


def test_a_host_that_still_has_a_part_is_told_so_without_a_secret(
    plans: Planned, forget: Forgetful
) -> None:
    hosts = dict(plans("prod").hosts)
    found = with_former(hosts)
    forget()
    with pytest.raises(DeployError, match="gw-b: the fleet file still uses this host"):
        mirror(hosts, found, deploy=DEPLOYS / "remove_hosts.py")


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("name", FLEETS)
def test_hosts_that_left_the_fleet_are_cleared_without_a_secret(
    plans: Planned, forget: Forgetful, name: str
) -> None:
    parts = [each.name for each in fields(HostPlan) if each.name not in ("name", "packages")]
    nothing: dict[str, Any] = {part: () if part == "engines" else None for part in parts}
    hosts = {host: replace(plan, **nothing) for host, plan in plans(name).hosts.items()}
    there: Answers = {("path", place): () for place in (paths.ROOT, paths.STATE)}
    forget()
    found = dict.fromkeys(hosts, MACHINE | there)
    done = mirror(hosts, found, deploy=DEPLOYS / "remove_hosts.py")
    assert {host: len(traffic.execs) for host, traffic in done.items()} == dict.fromkeys(hosts, 1)
    assert not any(traffic.failed for traffic in done.values())


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("name", FLEETS)
def test_status_shows_what_runs_and_what_cannot_be_compared(
    plans: Planned, forget: Forgetful, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    hosts = dict(plans(name).hosts)
    wanted = {
        (host, service.name): service.generation
        for host, plan in hosts.items()
        for service in registry.rendered(plan, observation_of(MACHINE))
    }
    found = {host: converged(plan) | process(plan) for host, plan in hosts.items()}
    forget()
    with pytest.raises(SystemExit):
        mirror(hosts, found, deploy=DEPLOYS / "status.py", data={"report": "-"})
    report = json.loads(capsys.readouterr().out)["hosts"]
    said = {host.removeprefix("@fake/"): state for host, state in report.items()}
    runs = {
        (host, service["name"]): service["generation"]
        for host, state in said.items()
        for service in state["services"]
    }
    assert runs == wanted
    assert all(state["faults"] == [] for state in said.values()), said
    missing = {host for host, state in said.items() if state["unknown"]}
    assert missing or name == "ollama"
    for host in missing:
        assert all("secret" in why or "lock file" in why for why in said[host]["unknown"])


def process(plan: HostPlan) -> Answers:
    """What status asks beside: each service is active."""
    lines: Answers = {("status",): ("1 day", "0.10", "8388608")}
    for service in registry.services(plan, assumed()):
        since = ("active", "exec", "1000000000", "0", "3221225472", "1000273660")
        lines["service", service.unit_name] = since
    return lines
