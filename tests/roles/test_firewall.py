"""Tests of the firewall: the rules, their order in a run, repairs, and addresses it would block."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyinfra.api.exceptions import DeployError

from mirrorfleet.planning import FirewallPlan, FirewallRule, HostPlan
from mirrorfleet.roles.firewall import role as firewall
from mirrorfleet.roles.firewall.facts import Table
from mirrorfleet.roles.firewall.render import RULES, TABLE, parse_rules, rules_file
from mirrorfleet.roles.firewall.role import Firewall
from mirrorfleet.runtime.dns import networks
from mirrorfleet.runtime.observe import parse, script
from tests.roles.answers import Answers, bare, converged, observation_of
from tests.roles.conftest import Planned
from tests.roles.fake import Traffic, mirror
from tests.roles.fleets import edit
from tests.roles.jobs import jobs
from tests.roles.machine import Machine
from tests.roles.problems import texts

Lab = Callable[[], dict[str, HostPlan]]

RULESET = {
    8000: frozenset().union(*map(networks, ("10.0.2.11", "10.0.2.0/28", "10.0.9.5", "fd00::/64"))),
    11434: frozenset(networks("fd00::2")),
}


def nft(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in its own network namespace, where it can load rules."""
    inside = ["unshare", "--user", "--map-root-user", "--net"]
    if (
        not shutil.which("nft")
        or subprocess.run([*inside, "nft", "list", "ruleset"], timeout=120).returncode
    ):
        pytest.skip("needs nftables and user namespaces")
    return subprocess.run(
        [*inside, "sh", "-euc", script], capture_output=True, text=True, timeout=120
    )


def test_a_rules_file_is_parsed_to_the_same_rules() -> None:
    text = rules_file(RULESET)
    assert "ip saddr { 10.0.2.0/28, 10.0.9.5 } accept" in text, "nft accepts no overlaps"
    assert rules_file(parse_rules(text)) == text
    assert parse_rules(f"{text}garbage\ntcp dport 1 ip saddr {{ unknown }} accept") == {
        **parse_rules(text),
        1: frozenset(),
    }


def test_a_port_without_allowed_sources_stays_in_the_rules() -> None:
    assert parse_rules(rules_file({8000: frozenset()})) == {8000: frozenset()}


def test_nft_loads_the_rules_repeatedly_and_changes_no_other_table(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(rules_file(RULESET))
    (tmp_path / "fewer").write_text(rules_file({8000: RULESET[8000]}))
    done = nft(
        f"nft 'add table inet other; add chain inet other input'; cd {tmp_path}\n"
        "nft -f rules; nft -f rules; nft list ruleset; nft -f fewer; nft list ruleset"
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split("table inet other")[1:]
    assert first.count("tcp dport 11434 reject") == 1
    assert "11434" not in second


def test_a_change_of_the_loaded_rules_is_observed(machine: Machine) -> None:
    text = machine.root / "rules"
    text.write_text(rules_file(RULESET))
    table = Table(TABLE)
    assert machine.observe(table)[table] is None
    questions = machine.root / "questions"
    questions.write_text(script([table]))
    change = f"nft insert rule inet {TABLE} input accept"
    done = nft(
        f"nft -f {text}; sh {questions}; nft -f {text}; sh {questions}; {change}; sh {questions}"
    )
    lines = done.stdout.splitlines()
    observed = [parse([table], lines[at : at + 2])[table] for at in range(0, len(lines), 2)]
    assert observed[0] == observed[1] != observed[2]


@pytest.fixture
def lab(plans: Planned, offline_cache: None) -> Lab:
    return lambda: dict(plans("lab").hosts)


def loaded(traffic: Traffic) -> list[str]:
    """Return the rules file that each exec sends and loads."""
    return [
        subprocess.run(
            "base64 -d | tar -xzO rules.nft",
            shell=True,
            input=call.stdin,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
        for call, job in zip(traffic.execs, jobs(traffic), strict=True)
        if job == "firewall rules"
    ]


def test_the_new_gateway_is_allowed_first_and_the_former_one_is_blocked_last(
    lab: Lab, project: Path
) -> None:
    found = {name: converged(plan) for name, plan in lab().items()}
    edit(project, "lab", "10.77.0.22", "10.77.0.23")
    done = mirror(lab(), found)
    first, second = loaded(done["gpu"])
    assert "{ 10.77.0.1, 10.77.0.21, 10.77.0.22, 10.77.0.23 } accept" in first
    assert "{ 10.77.0.1, 10.77.0.21, 10.77.0.23 } accept" in second
    numbers = {name: [call.number for call in traffic.execs] for name, traffic in done.items()}
    assert min(numbers["gpu"]) < min(numbers["gw-2"]) <= max(numbers["gw-2"]) < max(numbers["gpu"])


def test_no_source_is_blocked_if_a_gateway_fails(lab: Lab, project: Path) -> None:
    found = {name: converged(plan) for name, plan in lab().items()}
    edit(project, "lab", "10.77.0.22", "10.77.0.23")
    done = mirror(lab(), found, fail={"gw-2": ["&& serves"], "gpu": ["skipped because"]})
    assert jobs(done["gpu"]) == ["firewall rules", "skipped"]
    assert done["gpu"].failed, "the run fails"


DRIFT: dict[str, tuple[Answers, str]] = {
    "flushed": ({("table", TABLE): ()}, "is not loaded"),
    "another rule": ({("table", TABLE): ("other",)}, "was changed since it was loaded"),
    "the unit is stopped": (
        {("unit", firewall.UNIT): ("inactive", "enabled", "", "no", "")},
        "is inactive, enabled",
    ),
    "the file is edited": ({("content", RULES): ("IyBieSBoYW5kCg==",)}, "differs"),
    "the unit is edited": (
        {("file", firewall.UNIT_PATH): ("f 644 root:root", "0" * 64)},
        "differs",
    ),
}


@pytest.mark.parametrize("name", DRIFT)
def test_changes_outside_a_run_are_reported_and_repaired(lab: Lab, name: str) -> None:
    answers, message = DRIFT[name]
    found = converged(lab()["gpu"]) | answers
    if name == "flushed":
        del found["table", TABLE]
    changes = [change.what for change in Firewall().changes(lab()["gpu"], observation_of(found))]
    assert len(changes) == 1
    assert message in changes[0]
    assert jobs(mirror({"gpu": lab()["gpu"]}, {"gpu": found})["gpu"]) == ["firewall rules"]


def test_a_host_without_a_firewall_loses_its_rules(lab: Lab, project: Path) -> None:
    found = {name: converged(plan) for name, plan in lab().items()}
    edit(project, "lab", "firewall: {engines: [10.77.0.1]}", "firewall: none")
    assert jobs(mirror(lab(), found)["gpu"]) == ["no firewall rules"]


def test_another_program_on_a_firewalled_port_is_refused(lab: Lab) -> None:
    found = observation_of(bare(lab()["gpu"]) | {("port", "8000"): ("sshd",)})
    [message] = texts(Firewall().problems(lab()["gpu"], found))
    assert message.startswith("port 8000 is in use by sshd, whose clients the firewall would block")


@pytest.mark.parametrize(
    ("source", "refused"),
    [("10.77.0.21", False), ("10.77.0.1", False), ("192.168.7.21", True), ("10.77.0.11", False)],
)
def test_a_gateway_that_connects_from_a_blocked_address_is_refused(
    lab: Lab, source: str, refused: bool
) -> None:
    found = observation_of(bare(lab()["gw-1"]) | {("route", "10.77.0.11"): (source,)})
    messages = texts(Firewall().problems(lab()["gw-1"], found))
    assert len(messages) == refused
    assert all(
        "the gateway connects to the engines at 10.77.0.11 from 192.168.7.21" in message
        for message in messages
    )


def test_names_are_resolved_on_the_controller_and_an_unknown_one_is_refused(lab: Lab) -> None:
    plan = lab()["gpu"]

    def allowing(name: str) -> HostPlan:
        rule = FirewallRule("tiny", 8000, (name,))
        return replace(plan, firewall=FirewallPlan((rule,), {}))

    assert "127.0.0.1" in rules_file(firewall.desired_rules(allowing("localhost")))
    with pytest.raises(DeployError, match="cannot resolve"):
        list(Firewall().problems(allowing("no-such-host.invalid"), observation_of(bare(plan))))


def test_a_name_that_is_invalid_in_dns_gets_the_same_message() -> None:
    for name in (f"{'a' * 64}.example.com", "a..example.com"):
        with pytest.raises(DeployError, match="this machine cannot resolve"):
            networks(name)
