"""deploys/rollback.py: one service goes back, its hosts one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.jobs import rollback
from mirrorfleet.roles import registry
from tests.roles.answers import Answers, converged, observation_of, served
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.jobs import jobs

ROLLBACK = Path(__file__).parents[2] / "deploys" / "rollback.py"


def former(plan: object, name: str = "litellm") -> Answers:
    """A host as a complete run leaves it, with a generation from before that has served."""
    return refused(plan, name) | served(name, "0123456789ab")


def refused(plan: object, name: str = "litellm") -> Answers:
    """The same with a generation that has not served."""
    return converged(plan) | {  # type: ignore[arg-type]
        ("file", f"/opt/mirrorfleet/{name}/generations/0123456789ab"): ("d 750 root:root", ""),
    }


@pytest.mark.usefixtures("offline_cache")
def test_gateways_go_back_one_after_the_other_and_nobody_else(plans: Planned) -> None:
    hosts = plans("lab").hosts
    found = {name: former(plan) for name, plan in hosts.items()}
    done = mirror(hosts, found, deploy=ROLLBACK)
    assert {name: jobs(traffic) for name, traffic in done.items()} == {
        "gpu": [],
        "gw-1": ["restart"],
        "gw-2": ["restart"],
        "dev": [],
    }
    first, second = (done[name].execs[-1] for name in ("gw-1", "gw-2"))
    assert first.number < second.number
    assert "\ngeneration=''\n" in first.command, "the last that has served"


@pytest.mark.usefixtures("offline_cache")
def test_one_that_fails_stops_those_after_it(plans: Planned) -> None:
    hosts = plans("lab").hosts
    found = {name: former(plan) for name, plan in hosts.items()}
    fail = {"gw-1": ["&& serves"], "gw-2": ["skipped because"]}
    done = mirror(hosts, found, fail, deploy=ROLLBACK)
    assert jobs(done["gw-2"]) == ["skipped"]


@pytest.mark.usefixtures("offline_cache")
def test_where_no_other_has_served_nobody_goes_back(plans: Planned) -> None:
    hosts = plans("lab").hosts
    found = {name: former(plan) for name, plan in hosts.items()}
    found["gw-2"] = refused(hosts["gw-2"])
    with pytest.raises(DeployError, match="gw-2: mirrorfleet-litellm") as told:
        mirror(hosts, found, deploy=ROLLBACK)
    assert "has no verified generation except the current one" in str(told.value)


@pytest.mark.usefixtures("offline_cache")
def test_the_next_run_goes_forward_again(plans: Planned) -> None:
    plan = plans("lab").hosts["gw-1"]
    [service] = registry.rendered(plan, observation_of(converged(plan)))
    gone_back = former(plan) | {
        ("link", f"{service.directory}/current"): ("generations/0123456789ab",),
        ("unit", service.unit_name): ("active", "enabled", "0123456789ab", "no", ""),
    }
    assert jobs(mirror({"gw-1": plan}, {"gw-1": gone_back})["gw-1"]) == ["restart"]


@pytest.mark.usefixtures("offline_cache")
def test_any_service_can_go_back(plans: Planned) -> None:
    plan = plans("lab").hosts["gpu"]
    way = rollback.Rollback("vllm-tiny")
    assert list(way.problems(plan, observation_of(former(plan, "vllm-tiny")))) == []
    [change] = way.changes(plan, observation_of(former(plan, "vllm-tiny")))
    assert "mirrorfleet-vllm-tiny.service will be rolled back from" in change.what
