"""deploys/rollback.py: one service is rolled back, one host at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs import rollback
from mirrorfleet.roles import registry
from tests.roles.answers import Answers, converged, observation_of, verified_generation
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.jobs import jobs

ROLLBACK = Path(__file__).parents[2] / "deploys" / "rollback.py"


def with_verified(plan: object, name: str = "litellm") -> Answers:
    """Return the answers of a converged host with a verified former generation."""
    return with_unverified(plan, name) | verified_generation(name, "0123456789ab")


def with_unverified(plan: object, name: str = "litellm") -> Answers:
    """Return the answers of a converged host with a former generation that is not verified."""
    return converged(plan) | {  # type: ignore[arg-type]
        ("file", f"/opt/mirrorfleet/{name}/generations/0123456789ab"): ("d 750 root:root", ""),
    }


@pytest.mark.usefixtures("offline_cache")
def test_gateways_are_rolled_back_one_at_a_time_and_no_other_host(plans: Planned) -> None:
    hosts = plans("lab").hosts
    found = {name: with_verified(plan) for name, plan in hosts.items()}
    done = mirror(hosts, found, deploy=ROLLBACK)
    assert {name: jobs(traffic) for name, traffic in done.items()} == {
        "gpu": [],
        "gw-1": ["restart"],
        "gw-2": ["restart"],
        "dev": [],
    }
    first, second = (done[name].execs[-1] for name in ("gw-1", "gw-2"))
    assert first.number < second.number
    assert "\ngeneration=''\n" in first.command, "the newest verified generation"


@pytest.mark.usefixtures("offline_cache")
def test_a_failed_gateway_stops_the_following_ones(plans: Planned) -> None:
    hosts = plans("lab").hosts
    found = {name: with_verified(plan) for name, plan in hosts.items()}
    fail = {"gw-1": ["&& serves"], "gw-2": ["skipped because"]}
    done = mirror(hosts, found, fail, deploy=ROLLBACK)
    assert jobs(done["gw-2"]) == ["skipped"]


@pytest.mark.usefixtures("offline_cache")
def test_without_another_verified_generation_no_host_is_rolled_back(plans: Planned) -> None:
    hosts = plans("lab").hosts
    found = {name: with_verified(plan) for name, plan in hosts.items()}
    found["gw-2"] = with_unverified(hosts["gw-2"])
    with pytest.raises(DeployError, match="gw-2: mirrorfleet-litellm") as caught:
        mirror(hosts, found, deploy=ROLLBACK)
    assert "has no verified generation except the current one" in str(caught.value)


@pytest.mark.usefixtures("offline_cache")
def test_the_next_run_switches_to_the_planned_generation_again(plans: Planned) -> None:
    plan = plans("lab").hosts["gw-1"]
    [service] = registry.rendered(plan, observation_of(converged(plan)))
    rolled_back = with_verified(plan) | {
        ("link", f"{service.directory}/current"): ("generations/0123456789ab",),
        ("unit", service.unit_name): ("active", "enabled", "0123456789ab", "no", ""),
    }
    assert jobs(mirror({"gw-1": plan}, {"gw-1": rolled_back})["gw-1"]) == ["restart"]


@pytest.mark.usefixtures("offline_cache")
def test_any_service_can_be_rolled_back(plans: Planned) -> None:
    plan = plans("lab").hosts["gpu"]
    job = rollback.Rollback("vllm-tiny")
    assert list(job.problems(plan, observation_of(with_verified(plan, "vllm-tiny")))) == []
    [change] = job.changes(plan, observation_of(with_verified(plan, "vllm-tiny")))
    assert "mirrorfleet-vllm-tiny.service will be rolled back from" in change.what
