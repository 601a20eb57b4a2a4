"""deploys/verify.py: it passes on a healthy fleet and names a cause otherwise; strict privacy."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab import keys, look
from tests.lab.hosts import BY_NAME, NETWORK

DEV = BY_NAME["dev"].address
TABLE = "mirrorfleet_watch"
READY = f"curl -fs -o /dev/null http://{BY_NAME['gw-1'].address}:4000/health/readiness"


def verify(*options: str, fleet: Path = look.FLEET) -> tuple[int, dict[str, Any]]:
    inventory = str(fleet.with_suffix(".py"))
    done = look.pyinfra(*options, inventory, "deploys/verify.py", "--data", "report=-")
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def state() -> str:
    return look.state("dev") + look.run("dev", "find /tmp /var/tmp -user ada | sort")


def test_every_layer_serves_a_developer_and_no_host_changes() -> None:
    before = state()
    code, report = verify()
    assert code == 0, report
    [row] = report["developers"]
    checks = ("client", "answer", "stream", "tool", "subagent")
    expected = dict.fromkeys(checks, "ok") | {"pasted": "mended", "window": "131072"}
    assert row["checks"] == expected
    assert {part["item"]: part["state"] for part in row["day"]} == {
        "tool reference": "mended",
        "image": "mended",
        "PDF": "mended",
        "web search": "refused",
        "thinking on": "not asked",
        "thinking off": "not asked",
        "effort": "not asked",
        "foreign id": "mended",
        "second turn": "not reported",
    }, row["day"]
    assert (row["user"], row["model"]) == ("ada", "tiny")
    assert row["tiers"] == ["opus", "sonnet", "haiku", "fable"]
    kinds = [layer["kind"] for layer in report["layers"]]
    assert kinds == ["vLLM", "LiteLLM", "HAProxy", "LiteLLM"]
    assert state() == before


def test_a_stopped_gateway_is_named_and_developers_reach_the_other_one() -> None:
    unit = "mirrorfleet-litellm.service"
    look.run("gw-1", f"systemctl stop {unit}")
    try:
        code, report = verify()
    finally:
        look.run("gw-1", f"systemctl start {unit}; until {READY}; do sleep 0.5; done")
    assert code == 1
    assert causes(report) == {f"{unit} on gw-1 is inactive"}
    [row] = report["developers"]
    assert row["faults"] == []
    assert row["checks"]["answer"] == "ok"


def test_a_stopped_load_balancer_is_named_as_the_cause() -> None:
    unit = "mirrorfleet-front.service"
    look.run("gw-1", f"systemctl stop {unit}")
    try:
        code, report = verify()
    finally:
        look.run("gw-1", f"systemctl start {unit}")
    assert code == 1
    [row] = report["developers"]
    found = {fault["cause"] for fault in row["faults"]}
    assert found == causes(report) == {f"{unit} on gw-1 is inactive"}
    assert row["checks"]["client"] == "ok"


def causes(report: dict[str, Any]) -> set[str]:
    return {fault["cause"] for layer in report["layers"] for fault in layer["faults"]}


@contextmanager
def packets_to_elsewhere() -> Iterator[list[int]]:
    """Count packets from the developer's host to addresses outside the lab or to DNS servers."""
    rules = f"""table inet {TABLE} {{
        counter elsewhere {{ }}
        chain sent {{
            type filter hook prerouting priority filter; policy accept;
            ip saddr {DEV} ip daddr != {NETWORK} counter name elsewhere
            ip saddr {DEV} meta l4proto {{ tcp, udp }} th dport 53 counter name elsewhere
        }}
    }}"""
    _nft("-f", "-", text=rules)
    counted: list[int] = []
    try:
        yield counted
        listed = json.loads(_nft("-j", "list", "counters", "table", "inet", TABLE))["nftables"]
        counted += [item["counter"]["packets"] for item in listed if "counter" in item]
    finally:
        _nft("delete", "table", "inet", TABLE)


def _nft(*arguments: str, text: str = "") -> str:
    line = ["nft", *arguments] if os.geteuid() == 0 else ["sudo", "nft", *arguments]
    return subprocess.run(line, input=text, capture_output=True, text=True, check=True).stdout


def _as_ada(command: str) -> str:
    line = keys.ssh("ada@dev", [command])
    done = subprocess.run(
        line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout


def test_with_strict_privacy_all_packets_go_to_the_gateway() -> None:
    with packets_to_elsewhere() as counted:
        answer = _as_ada("claude -p 'What does Mirrorfleet do?'")
    assert "makes every machine of the fleet agree" in answer
    assert counted == [0]
    with packets_to_elsewhere() as counted:
        _as_ada("getent hosts api.anthropic.com")
    assert counted[0] > 0, "the counter works"
