"""Whose the engine's door is: the gateways', and that of whom the fleet file names."""

import pytest

from tests.lab import look
from tests.lab.hosts import BY_NAME

ENGINE = f"http://{BY_NAME['gpu'].address}:8000"

# What vLLM answers without a key, or would do for anybody.
UNGUARDED = ["/health", "/tokenize", "/invocations", "/pause", "/update_weights"]


def asked(host: str, path: str) -> str:
    """The status that a host gets of the engine; 000 is no answer at all."""
    ask = f"curl -s -m 10 -o /dev/null -w '%{{http_code}}' {ENGINE}{path} || true"
    return look.run(host, ask)


def test_gateways_reach_the_engine_and_so_does_its_own_host() -> None:
    answers = {host: asked(host, "/health") for host in ("gw-1", "gw-2", "gpu")}
    assert answers == dict.fromkeys(answers, "200")


@pytest.mark.parametrize("path", UNGUARDED)
def test_nobody_else_reaches_anything_of_it(path: str) -> None:
    assert asked("dev", path) == "000"


def test_no_other_port_is_closed() -> None:
    assert "SSH" in look.run("dev", f"curl -sm 2 telnet://{BY_NAME['gpu'].address}:22 || true")


def test_a_flushed_ruleset_is_said_and_healed() -> None:
    look.run("gpu", "nft flush ruleset")
    assert asked("dev", "/health") == "200"
    done = look.mirror("--json", "--limit", "gpu")
    assert look.changes(done) == ["gpu: Firewall | rules: admit the new, keep the old"]
    assert "table mirrorfleet of nftables is not loaded" in look.plain(done.stderr + done.stdout)
    assert asked("dev", "/health") == "000"
    assert look.changes(look.mirror("--json", "--limit", "gpu")) == []
