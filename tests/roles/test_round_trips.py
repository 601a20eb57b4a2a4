"""Budgets of execs, uploads and bytes per host."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.roles.firewall.role import Firewall
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.roles.vllm.role import Vllm
from mirrorfleet.runtime.payload import pack
from mirrorfleet.runtime.role import Role
from tests.roles.answers import bare, converged, observation_of, services
from tests.roles.conftest import Planned
from tests.roles.fake import mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs

PACKAGES = ["packages"]
USER = ["user"]
UPLOAD = ["inbox", "take"]

# Characters. A generation of 25 files is sent gzipped, between two scripts. CANARY is the program
# that measures the generation before and the new one, with its hooks. 200 of the questions are for
# what killed scripts left, and for a Python of an environment's own.
QUESTIONS, GENERATION, CANARY = 10_500, 55_000, 17_000


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("fleet", ["database", "docker", "front", "lab", "ollama", "prod", "redis"])
def test_a_converged_host_costs_one_exec_and_no_upload(plans: Planned, fleet: str) -> None:
    hosts = plans(fleet).hosts
    done = mirror(hosts, {name: converged(plan) for name, plan in hosts.items()})
    assert {name: traffic.round_trips for name, traffic in done.items()} == dict.fromkeys(
        hosts, (1, 0)
    )
    assert max(traffic.sent for traffic in done.values()) < QUESTIONS


@pytest.mark.usefixtures("offline_cache")
def test_a_first_run_has_these_jobs_and_uploads(plans: Planned) -> None:
    hosts = plans("lab").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    service = ["generation", "restart"]
    assert {name: jobs(traffic) for name, traffic in done.items()} == {
        # The uploads are its environment and its weights.
        "gpu": [*PACKAGES, "firewall rules", "ports", *PACKAGES, *USER, *UPLOAD, *UPLOAD, *service],
        "gw-1": [*PACKAGES, *USER, "keys", "ports", *UPLOAD, *service],
        "gw-2": [*PACKAGES, *USER, "keys", "ports", *UPLOAD, *service],
        "dev": [*UPLOAD, "home files", "machine files"],
    }
    uploads = {name: len(traffic.uploads) for name, traffic in done.items()}
    assert uploads == {"gpu": 2, "gw-1": 1, "gw-2": 1, "dev": 1}


@pytest.mark.usefixtures("offline_cache")
def test_a_host_downloads_the_weights_of_a_repository_itself(plans: Planned) -> None:
    hosts = plans("prod").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    service = ["generation", "restart"]
    # Device files of the GPUs, made at every boot.
    prepared = [*PACKAGES, *USER, "machine files"]
    assert jobs(done["gpu-a"])[3:] == [*prepared, *UPLOAD, "download", *service]
    assert jobs(done["gpu-c"])[3:] == [*prepared, *UPLOAD, *service]


@pytest.mark.usefixtures("offline_cache")
def test_a_changed_setting_of_the_gateways_changes_only_gateways(
    plans: Planned, project: Path
) -> None:
    before = plans("lab").hosts
    found = {name: converged(plan) for name, plan in before.items()}
    edit(project, "lab", "workers: 2", "workers: 3")
    after = plans("lab").hosts
    done = mirror(after, found)

    assert {name: jobs(traffic) for name, traffic in done.items()} == {
        "gpu": [],
        "gw-1": ["generation", "restart"],
        "gw-2": ["generation", "restart"],
        "dev": [],
    }
    [service] = services(after["gw-1"])
    generation, restart = done["gw-1"].execs
    assert generation.stdin == pack(service.members())
    assert restart.stdin == ""
    assert not any(traffic.uploads for traffic in done.values())
    assert done["gw-1"].sent < QUESTIONS + GENERATION + CANARY


@pytest.mark.usefixtures("offline_cache")
def test_a_changed_setting_of_one_gateway_changes_only_that_one_and_firewalls(
    plans: Planned, project: Path
) -> None:
    found = {name: converged(plan) for name, plan in plans("lab").hosts.items()}
    edit(project, "lab", "address: 10.77.0.22", "address: 10.77.0.23")  # the address to listen on
    done = mirror(plans("lab").hosts, found)
    assert {name: jobs(traffic) for name, traffic in done.items()} == {
        # The new address is allowed first, the old one removed last.
        "gpu": ["firewall rules", "firewall rules"],
        "gw-1": [],
        "gw-2": ["generation", "restart"],
        "dev": [],
    }


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize(
    ("role", "hosts"),
    [
        (Firewall(), {"gpu"}),
        (Vllm(), {"gpu"}),
        (Litellm(), {"gw-1", "gw-2"}),
        (Claude(), {"dev"}),
    ],
    ids=["firewall", "vllm", "litellm", "claude"],
)
def test_a_role_changes_only_hosts_with_its_services(
    plans: Planned, role: Role, hosts: set[str]
) -> None:
    plan = plans("lab").hosts
    # Each host is searched for things that were removed from the fleet file.
    assert all(list(role.facts(plan[name])) for name in plan)
    found = {name: observation_of(bare(plan[name])) for name in plan}
    assert {name for name in plan if list(role.changes(plan[name], found[name]))} == hosts


@pytest.mark.usefixtures("offline_cache")
def test_secrets_are_sent_on_standard_input_and_never_in_a_command(plans: Planned) -> None:
    hosts = plans("lab").hosts
    done = mirror(hosts, {name: bare(plan) for name, plan in hosts.items()})
    commands = "\n".join(command.command for traffic in done.values() for command in traffic.execs)
    assert "-key-of-the-tests" not in commands
