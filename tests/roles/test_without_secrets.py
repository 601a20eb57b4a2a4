"""Rollback, removal and status on a controller without the fleet's secrets."""

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
from tests.roles.answers import (
    MACHINE,
    Answers,
    bare,
    converged,
    observation_of,
    verified_generation,
)
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
    """Return a function that removes all secrets of the fleets and all lock files of releases."""
    for service in ("claude", "litellm", "vllm"):
        shutil.copytree(lock_folders.SHIPPED / service / "locks", project / "locks" / service)

    def remove() -> None:
        shutil.rmtree(project / "locks")
        monkeypatch.setattr(client, "_lock", LOCK_OF)
        for name in SECRETS:
            monkeypatch.delenv(name, raising=False)
        shutil.rmtree(project / ".lab" / "secrets")
        (project / "tls" / "llm.key").unlink()
        stand_in(project / "bin" / "op", "exit 1")
        secrets._reveal.cache_clear()
        secrets._reveal_text.cache_clear()

    return remove


def with_former(hosts: dict[str, HostPlan]) -> dict[str, Answers]:
    """Return the answers of converged hosts, with a verified former generation of each service."""
    return {name: _with_former(plan) for name, plan in hosts.items()}


def _with_former(plan: HostPlan) -> Answers:
    found = converged(plan)
    for service in registry.services(plan, assumed()):
        found |= verified_generation(service.name, "0123456789ab")
        former = f"{service.directory}/generations/0123456789ab"
        found |= {("file", former): ("d 750 root:root", "")}
    return found


def jobs_by_host(done: dict[str, Traffic]) -> dict[str, list[str]]:
    return {name: jobs(traffic) for name, traffic in done.items() if traffic.execs}


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("name", FLEETS)
def test_every_service_rolls_back_without_a_secret(
    plans: Planned, forget: Forgetful, name: str
) -> None:
    hosts = dict(plans(name).hosts)
    found = with_former(hosts)
    forget()
    hosts_of: dict[str, list[str]] = {}
    for host, plan in hosts.items():
        for service in registry.services(plan, assumed()):
            hosts_of.setdefault(service.name, []).append(host)
    assert hosts_of
    for service_name, service_hosts in hosts_of.items():
        done = mirror(hosts, found, deploy=DEPLOYS / "rollback.py", data={"service": service_name})
        assert jobs_by_host(done) == {host: ["restart"] for host in service_hosts}, service_name
        assert not any(traffic.failed for traffic in done.values())


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("deploy", ["remove_clients", "remove_weights", "verify_weights"])
@pytest.mark.parametrize("name", FLEETS)
def test_removing_and_verifying_need_no_secret(
    plans: Planned, forget: Forgetful, name: str, deploy: str
) -> None:
    hosts = dict(plans(name).hosts)
    found = with_former(hosts)
    forget()
    done = mirror(hosts, found, deploy=DEPLOYS / f"{deploy}.py")
    assert all(traffic.observations == 1 and not traffic.failed for traffic in done.values())


def test_a_host_in_use_is_reported_without_a_secret(plans: Planned, forget: Forgetful) -> None:
    hosts = dict(plans("prod").hosts)
    found = with_former(hosts)
    forget()
    with pytest.raises(DeployError, match="gw-b: the fleet file still uses this host"):
        mirror(hosts, found, deploy=DEPLOYS / "remove_hosts.py")


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("name", FLEETS)
def test_removed_hosts_are_decommissioned_without_a_secret(
    plans: Planned, forget: Forgetful, name: str
) -> None:
    parts = [field.name for field in fields(HostPlan) if field.name not in ("name", "packages")]
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
def test_status_shows_running_generations_and_unknown_comparisons(
    plans: Planned, forget: Forgetful, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    hosts = dict(plans(name).hosts)
    desired = {
        (host, service.name): service.generation
        for host, plan in hosts.items()
        for service in registry.rendered(plan, observation_of(bare(plan)))
    }
    found = {host: converged(plan) | process(plan) for host, plan in hosts.items()}
    forget()
    with pytest.raises(SystemExit):
        mirror(hosts, found, deploy=DEPLOYS / "status.py", data={"report": "-"})
    report = json.loads(capsys.readouterr().out)["hosts"]
    states = {host.removeprefix("@fake/"): state for host, state in report.items()}
    runs = {
        (host, service["name"]): service["generation"]
        for host, state in states.items()
        for service in state["services"]
    }
    assert runs == desired
    assert all(state["faults"] == [] for state in states.values()), states
    missing = {host for host, state in states.items() if state["unknown"]}
    assert missing or name == "ollama"
    for host in missing:
        assert all(
            "secret" in reason or "lock file" in reason for reason in states[host]["unknown"]
        )


def process(plan: HostPlan) -> Answers:
    """Return the answers for status: each service is active."""
    lines: Answers = {("status",): ("1 day", "0.10", "8388608")}
    for service in registry.services(plan, assumed()):
        since = ("active", "exec", "1000000000", "0", "3221225472", "1000273660")
        lines["service", service.unit_name] = since
    return lines
