"""Which hosts of a run take part when weights are passed on, and what each of them is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from mirrorfleet import fleet
from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.vllm import VllmPlan, WeightsRule
from mirrorfleet.roles.vllm import weights
from tests.roles import fleets
from tests.roles.answers import Answers, converged
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import good

GPUS = ("gpu-a", "gpu-b")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENGINE_KEY", "CLOUD_KEY", "KEY", "TEAM_KEY", "LEADS_KEY"):
        monkeypatch.setenv(name, f"sk-of-the-tests-{name.lower()}")


def replicas(directory: Path, more: str = "") -> dict[str, HostPlan]:
    """Return the plans of two hosts with one model."""
    text = (fleets.ROOT / "tests/fleet/good/replicas.yml").read_text("utf-8")
    path = directory / "replicas.yml"
    path.write_text(f"{text.replace('gpu-b.example.com', '10.0.0.2')}\n{more}\n", "utf-8")
    planned = fleet.plan(fleet.load(path)).hosts
    return {name: planned[name] for name in GPUS}


@pytest.fixture
def plans(tmp_path: Path) -> dict[str, HostPlan]:
    return replicas(tmp_path)


def answers(plan: HostPlan, *, is_bare: bool) -> Answers:
    """Return a host that matches its plan, apart from its weights."""
    [engine] = plan.engines_of(VllmPlan)
    found = dict(converged(plan))
    if is_bare:
        del found[(*weights.fact(engine).key, "")]
    return found


def run(
    plans: Mapping[str, HostPlan], bare: tuple[str, ...], **other: Any
) -> tuple[dict[str, dict[str, Any]], dict[str, Traffic]]:
    """Run mirror.py; return the request of each host that downloads or passes on weights."""
    found = {name: answers(plan, is_bare=name in bare) for name, plan in plans.items()}
    traffic = mirror(plans, found, **other)
    requests = {}
    for name, each in traffic.items():
        for command in each.execs:
            if '"jobs"' in command.stdin:
                requests[name] = json.loads(command.stdin)
                secret = requests[name]["share"]
                assert secret is None or "PRIVATE KEY" in secret["certificate"]
            assert "PRIVATE KEY" not in command.command
    return requests, traffic


@pytest.mark.usefixtures("offline_cache")
def test_hosts_without_weights_take_them_from_each_other(plans: dict[str, HostPlan]) -> None:
    requests, _ = run(plans, GPUS)
    for name in GPUS:
        [job], share = requests[name]["jobs"], requests[name]["share"]
        assert (job["complete"], job["fetch"]) == (False, ["gpu-a", "gpu-b"])
        assert job["directory"].endswith(f"{job['key']}.part")
        [peer] = job["peers"]
        assert peer["name"] != name
        own = x509.load_pem_x509_certificates(share["certificate"].encode())
        assert [each.subject.rfc4514_string() for each in own] == [f"CN={name}"]
        names = own[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(each.value) for each in names] == [share["address"]]
    one, other = (requests[name]["share"] for name in GPUS)
    assert one["authority"] == other["authority"], "of this run"
    assert one["certificate"] != other["certificate"]
    again, _ = run(plans, GPUS)
    assert again["gpu-a"]["share"]["authority"] != one["authority"]


@pytest.mark.usefixtures("offline_cache")
def test_a_host_with_complete_weights_only_passes_them_on(plans: dict[str, HostPlan]) -> None:
    requests, _ = run(plans, ("gpu-b",))
    [complete], [bare] = (requests[name]["jobs"] for name in GPUS)
    assert complete["complete"]
    assert complete["fetch"] == bare["fetch"] == ["gpu-b"]
    assert f"{complete['directory']}.part" == bare["directory"]


@pytest.mark.usefixtures("offline_cache")
def test_without_missing_weights_a_run_only_observes(plans: dict[str, HostPlan]) -> None:
    requests, traffic = run(plans, ())
    assert requests == {}
    assert {each.round_trips for each in traffic.values()} == {(1, 0)}


@pytest.mark.usefixtures("offline_cache")
def test_hosts_outside_of_the_run_take_no_part(plans: dict[str, HostPlan]) -> None:
    requests, _ = run(plans, GPUS, limit=["gpu-b"])
    assert list(requests) == ["gpu-b"]
    assert requests["gpu-b"]["share"] is None
    requests, _ = run(plans, GPUS, lost=["gpu-a"])
    assert requests["gpu-b"]["share"] is None


def shares(plans: Mapping[str, HostPlan]) -> bool:
    """Return whether hosts share weights; then the firewall has a rule for it."""
    engines = [plan.engines_of(VllmPlan)[0] for plan in plans.values()]
    rules = [plan.firewall.rules for plan in plans.values() if plan.firewall]
    found = [[rule for rule in each if isinstance(rule, WeightsRule)] for each in rules]
    assert [bool(engine.neighbours) for engine in engines] == [bool(each) for each in found]
    return any(engine.neighbours for engine in engines)


def test_a_fleet_can_switch_it_off(tmp_path: Path, plans: dict[str, HostPlan]) -> None:
    assert shares(plans)
    assert not shares(replicas(tmp_path, "weights: {share: false}"))


def test_hosts_with_a_name_as_address_share_nothing() -> None:
    assert not shares({name: good("replicas").hosts[name] for name in GPUS})
