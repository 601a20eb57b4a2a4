"""Doors: whom the rules admit, what a run makes of it, and whom it would shut out."""

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

DOORS = {
    8000: frozenset().union(*map(networks, ("10.0.2.11", "10.0.2.0/28", "10.0.9.5", "fd00::/64"))),
    11434: frozenset(networks("fd00::2")),
}


def nft(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a network of its own, in which it can load rules."""
    inside = ["unshare", "--user", "--map-root-user", "--net"]
    if not shutil.which("nft") or subprocess.run([*inside, "nft", "list", "ruleset"]).returncode:
        pytest.skip("needs nftables, and user namespaces")
    return subprocess.run([*inside, "sh", "-euc", script], capture_output=True, text=True)


def test_rules_are_read_back_as_they_were_written() -> None:
    text = rules_file(DOORS)
    assert "ip saddr { 10.0.2.0/28, 10.0.9.5 } accept" in text, "nft takes no overlaps"
    assert rules_file(parse_rules(text)) == text
    assert parse_rules(f"{text}garbage\ntcp dport 1 ip saddr {{ nobody }} accept") == {
        **parse_rules(text),
        1: frozenset(),
    }


def test_a_door_that_nobody_passes_is_still_one() -> None:
    assert parse_rules(rules_file({8000: frozenset()})) == {8000: frozenset()}


def test_nft_loads_the_rules_again_and_again_and_no_other_table_is_touched(tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(rules_file(DOORS))
    (tmp_path / "fewer").write_text(rules_file({8000: DOORS[8000]}))
    done = nft(
        f"nft 'add table inet other; add chain inet other input'; cd {tmp_path}\n"
        "nft -f rules; nft -f rules; nft list ruleset; nft -f fewer; nft list ruleset"
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split("table inet other")[1:]
    assert first.count("tcp dport 11434 reject") == 1
    assert "11434" not in second


def test_what_is_loaded_is_seen(machine: Machine) -> None:
    text = machine.root / "rules"
    text.write_text(rules_file(DOORS))
    look = Table(TABLE)
    assert machine.look(look)[look] is None
    asked = machine.root / "questions"
    asked.write_text(script([look]))
    change = f"nft insert rule inet {TABLE} input accept"
    done = nft(f"nft -f {text}; sh {asked}; nft -f {text}; sh {asked}; {change}; sh {asked}")
    lines = done.stdout.splitlines()
    looks = [parse([look], lines[at : at + 2])[look] for at in range(0, len(lines), 2)]
    assert looks[0] == looks[1] != looks[2]


@pytest.fixture
def lab(plans: Planned, offline_cache: None) -> Lab:
    return lambda: dict(plans("lab").hosts)


def loaded(traffic: Traffic) -> list[str]:
    """What each exec that loads rules is sent, unpacked."""
    return [
        subprocess.run(
            "base64 -d | tar -xzO rules.nft",
            shell=True,
            input=each.stdin,
            capture_output=True,
            text=True,
        ).stdout
        for each, job in zip(traffic.execs, jobs(traffic), strict=True)
        if job == "firewall rules"
    ]


def test_a_gateway_that_leaves_is_shut_out_after_all_else_and_its_successor_let_in_before(
    lab: Lab, project: Path
) -> None:
    found = {name: converged(plan) for name, plan in lab().items()}
    edit(project, "lab", "10.77.0.22", "10.77.0.23")
    done = mirror(lab(), found)
    first, second = loaded(done["gpu"])
    assert "{ 10.77.0.1, 10.77.0.21, 10.77.0.22, 10.77.0.23 } accept" in first
    assert "{ 10.77.0.1, 10.77.0.21, 10.77.0.23 } accept" in second
    numbers = {name: [each.number for each in traffic.execs] for name, traffic in done.items()}
    assert min(numbers["gpu"]) < min(numbers["gw-2"]) <= max(numbers["gw-2"]) < max(numbers["gpu"])


def test_where_a_gateway_fails_nobody_is_shut_out(lab: Lab, project: Path) -> None:
    found = {name: converged(plan) for name, plan in lab().items()}
    edit(project, "lab", "10.77.0.22", "10.77.0.23")
    done = mirror(lab(), found, fail={"gw-2": ["&& serves"], "gpu": ["skipped because"]})
    assert jobs(done["gpu"]) == ["firewall rules", "skipped"]
    assert done["gpu"].failed, "so that the run fails"


WRONG: dict[str, tuple[Answers, str]] = {
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


@pytest.mark.parametrize("name", WRONG)
def test_what_another_hand_did_is_said_and_repaired(lab: Lab, name: str) -> None:
    wrong, what = WRONG[name]
    found = converged(lab()["gpu"]) | wrong
    if name == "flushed":
        del found["table", TABLE]
    said = [change.what for change in Firewall().changes(lab()["gpu"], observation_of(found))]
    assert len(said) == 1
    assert what in said[0]
    assert jobs(mirror({"gpu": lab()["gpu"]}, {"gpu": found})["gpu"]) == ["firewall rules"]


def test_a_host_that_is_to_have_no_doors_loses_them(lab: Lab, project: Path) -> None:
    found = {name: converged(plan) for name, plan in lab().items()}
    edit(project, "lab", "firewall: {engines: [10.77.0.1]}", "firewall: none")
    assert jobs(mirror(lab(), found)["gpu"]) == ["no firewall rules"]


def test_a_stranger_behind_a_door_refuses_the_run(lab: Lab) -> None:
    found = observation_of(bare(lab()["gpu"]) | {("port", "8000"): ("sshd",)})
    [why] = texts(Firewall().problems(lab()["gpu"], found))
    assert why.startswith("port 8000 is in use by sshd, whose clients the firewall would block")


@pytest.mark.parametrize(
    ("source", "refused"),
    [("10.77.0.21", False), ("10.77.0.1", False), ("192.168.7.21", True), ("10.77.0.11", False)],
)
def test_a_gateway_that_comes_from_an_address_nobody_knows_refuses_the_run(
    lab: Lab, source: str, refused: bool
) -> None:
    found = observation_of(bare(lab()["gw-1"]) | {("route", "10.77.0.11"): (source,)})
    whys = texts(Firewall().problems(lab()["gw-1"], found))
    assert len(whys) == refused
    assert all(
        "the gateway connects to the engines at 10.77.0.11 from 192.168.7.21" in why for why in whys
    )


def test_a_name_is_looked_up_here_and_one_that_nobody_knows_refuses_the_run(lab: Lab) -> None:
    plan = lab()["gpu"]

    def admitting(name: str) -> HostPlan:
        door = FirewallRule("tiny", 8000, (name,))
        return replace(plan, firewall=FirewallPlan((door,), {}))

    assert "127.0.0.1" in rules_file(firewall.desired_rules(admitting("localhost")))
    with pytest.raises(DeployError, match="cannot resolve"):
        list(Firewall().problems(admitting("no-such-host.invalid"), observation_of(bare(plan))))


def test_a_name_that_dns_cannot_have_is_told_like_one_that_it_does_not_have() -> None:
    for name in (f"{'a' * 64}.example.com", "a..example.com"):
        with pytest.raises(DeployError, match="this machine cannot resolve"):
            networks(name)
