"""Engines, then gateways, then clients; gateways one by one, and a bad first one stops the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.roles.answers import Answers, bare, converged
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs


@pytest.fixture
def found(plans: Planned, house: Path) -> dict[str, Answers]:
    """The lab as a complete run left it; since then, its fleet file has changed for gateways."""
    answers = {name: converged(plan) for name, plan in plans("lab").hosts.items()}
    edit(house, "lab", "workers: 2", "workers: 3")
    return answers


@pytest.mark.usefixtures("stocked")
def test_a_gateway_that_fails_stops_the_ones_after_it(
    plans: Planned, found: dict[str, Answers]
) -> None:
    bad = ("&& serves", "left as it is")
    done = mirror(plans("lab").hosts, found, fail={"gw-1": bad, "gw-2": bad})
    assert {name for name, traffic in done.items() if traffic.failed} == {"gw-1", "gw-2"}
    first, second = done["gw-1"], done["gw-2"]
    assert jobs(first) == ["generation", "restart"]
    assert jobs(second) == ["generation", "left alone"]
    assert "systemctl" not in second.execs[-1].command
    assert second.execs[-1].command.rstrip().endswith("exit 1"), "so that the run fails"


@pytest.mark.usefixtures("stocked")
def test_a_gateway_whose_new_generation_is_refused_is_not_switched(
    plans: Planned, found: dict[str, Answers]
) -> None:
    done = mirror(plans("lab").hosts, found, fail={"gw-2": ["mkdir -m 750"]})
    assert {name for name, traffic in done.items() if traffic.failed} == {"gw-2"}
    assert jobs(done["gw-2"]) == ["generation"]


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("fleet", ["lab", "prod"])
def test_engines_come_first_then_gateways_then_clients(plans: Planned, fleet: str) -> None:
    hosts = plans(fleet).hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    turns = sorted(
        (each.number, 1 if hosts[name].engines else 2 if hosts[name].gateway else 3)
        for name, traffic in done.items()
        for each in traffic.execs
    )
    kinds = [kind for _, kind in turns]
    assert kinds == sorted(kinds)
    assert set(kinds) == {1, 2, 3}
