"""Engines, then gateways, then clients; gateways one by one, and a bad first one stops the rest."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.roles.answers import Answers, bare, converged
from tests.roles.conftest import Planned
from tests.roles.fake import Exec, Traffic, mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs


@pytest.fixture
def found(plans: Planned, project: Path) -> dict[str, Answers]:
    """The lab as a complete run left it; since then, its fleet file has changed for gateways."""
    answers = {name: converged(plan) for name, plan in plans("lab").hosts.items()}
    edit(project, "lab", "workers: 2", "workers: 3")
    return answers


@pytest.mark.usefixtures("offline_cache")
def test_a_gateway_that_fails_stops_the_ones_after_it(
    plans: Planned, found: dict[str, Answers]
) -> None:
    bad = ("begun=", "skipped because")
    done = mirror(plans("lab").hosts, found, fail={"gw-1": bad, "gw-2": bad})
    assert {name for name, traffic in done.items() if traffic.failed} == {"gw-1", "gw-2"}
    first, second = done["gw-1"], done["gw-2"]
    assert jobs(first) == ["generation", "restart"]
    assert jobs(second) == ["generation", "skipped"]
    assert "systemctl" not in second.execs[-1].command
    assert second.execs[-1].command.rstrip().endswith("exit 1"), "so that the run fails"


@pytest.mark.usefixtures("offline_cache")
def test_a_gateway_whose_new_generation_is_refused_is_not_switched(
    plans: Planned, found: dict[str, Answers]
) -> None:
    done = mirror(plans("lab").hosts, found, fail={"gw-2": ["mkdir -m 750"]})
    assert {name for name, traffic in done.items() if traffic.failed} == {"gw-2"}
    assert jobs(done["gw-1"]) == ["generation", "restart"]
    assert jobs(done["gw-2"]) == ["generation"]


@pytest.mark.usefixtures("offline_cache")
def test_nor_are_the_gateways_after_it(plans: Planned, found: dict[str, Answers]) -> None:
    fail = {"gw-1": ["mkdir -m 750"], "gw-2": ["skipped because"]}
    done = mirror(plans("lab").hosts, found, fail=fail)
    assert {name for name, traffic in done.items() if traffic.failed} == {"gw-1", "gw-2"}
    assert jobs(done["gw-2"]) == ["generation", "skipped"]


REPLICAS = ("gpu-a", "gpu-b")  # of `coder`, in prod.yml; gpu-c serves `helper`


@pytest.fixture
def changed(plans: Planned, project: Path) -> dict[str, Answers]:
    """The production as a complete run left it; since then, its fleet file has changed for all."""
    answers = {name: converged(plan) for name, plan in plans("prod").hosts.items()}
    edit(project, "prod", "tensor_parallel: 8", "tensor_parallel: 4")
    edit(project, "prod", "tensor_parallel: 2", "tensor_parallel: 1")
    edit(project, "prod", "output: 32768", "output: 30000")
    return answers


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("at_once", [None, 1], ids=["all at once", "one host at a time"])
def test_replicas_of_a_model_are_switched_one_after_the_other_and_other_models_beside_them(
    plans: Planned, changed: dict[str, Answers], at_once: int | None
) -> None:
    done = mirror(plans("prod").hosts, changed, takes=0.05, at_once=at_once)
    first, second, other = (done[name].execs[-1] for name in (*REPLICAS, "gpu-c"))
    assert first.ended < second.number
    assert at_once or other.number < first.ended


@pytest.mark.usefixtures("offline_cache")
def test_replicas_that_do_not_serve_yet_start_together(plans: Planned) -> None:
    hosts = plans("prod").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()}, takes=0.05)
    first, second = (done[name].execs[-1] for name in REPLICAS)
    assert second.number < first.ended


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("what", ["begun=", "mkdir -m 750"], ids=["switch", "generation"])
def test_an_engine_that_fails_holds_back_its_replicas_and_who_newly_needs_it(
    plans: Planned, changed: dict[str, Answers], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    hosts = plans("prod").hosts
    done = mirror(hosts, changed, fail={"gpu-a": [what], "gpu-b": ["skipped because"]})
    assert {name for name, traffic in done.items() if traffic.failed} == hosts.keys() - {"gpu-c"}
    assert {name: jobs(done[name]) for name in hosts if name != "gpu-a"} == {
        "gpu-b": ["generation", "skipped"],
        "gpu-c": ["generation", "restart"],
        "gw-a": ["generation"],
        "gw-b": ["generation"],
        "dev-1": [],
        "dev-2": [],
    }
    told = [click.unstyle(line) for line in caplog.messages]
    assert (
        "[@fake/gw-a] skipped: the gateway keeps its running generation, because the new one needs "
        "'coder' on @fake/gpu-a. Fix @fake/gpu-a, then run again."
    ) in [" ".join(line.split()) for line in told]


def _after_keys(traffic: Traffic) -> list[tuple[Exec, str]]:
    """Return what was done on a host, of a gateway without its keys: they come before all else."""
    said = jobs(traffic)
    begin = said.index("keys") + 1 if "keys" in said else 0
    return [*zip(traffic.execs, said, strict=True)][begin:]


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("fleet", ["lab", "prod"])
def test_engines_come_first_then_gateways_then_clients(plans: Planned, fleet: str) -> None:
    hosts = plans(fleet).hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    turns = sorted(
        (host_traffic.number, 1 if hosts[name].engines else 2 if hosts[name].gateway else 3)
        for name, traffic in done.items()
        for host_traffic, job in _after_keys(traffic)
        if job != "ports"  # reserved before anything restarts
    )
    kinds = [kind for _, kind in turns]
    assert kinds == sorted(kinds)
    assert set(kinds) == {1, 2, 3}
