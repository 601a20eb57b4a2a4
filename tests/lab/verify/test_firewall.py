"""The firewall of the engine: only gateways and the addresses of the fleet file reach its port."""

import pytest

from tests.lab import look
from tests.lab.hosts import BY_NAME

ENGINE = f"http://{BY_NAME['gpu'].address}:8000"

# Paths of vLLM that need no key.
KEYLESS = ["/health", "/tokenize", "/invocations", "/pause", "/update_weights"]


def status(host: str, path: str) -> str:
    """Return the engine's HTTP status on a host, "000" for no answer."""
    request = f"curl -s -m 10 -o /dev/null -w '%{{http_code}}' {ENGINE}{path} || true"
    return look.run(host, request)


def test_gateways_and_the_engines_own_host_reach_it() -> None:
    answers = {host: status(host, "/health") for host in ("gw-1", "gw-2", "gpu")}
    assert answers == dict.fromkeys(answers, "200")


@pytest.mark.parametrize("path", KEYLESS)
def test_a_developers_host_reaches_no_path(path: str) -> None:
    assert status("dev", path) == "000"


def test_other_ports_stay_open() -> None:
    assert "SSH" in look.run("dev", f"curl -sm 2 telnet://{BY_NAME['gpu'].address}:22 || true")


def test_a_flushed_ruleset_is_reported_and_repaired() -> None:
    look.run("gpu", "nft flush ruleset")
    assert status("dev", "/health") == "200"
    done = look.mirror("--json", "--limit", "gpu")
    assert look.changes(done) == ["gpu: Firewall | rules: add new, keep former"]
    assert "table mirrorfleet of nftables is not loaded" in look.plain(done.stderr + done.stdout)
    assert status("dev", "/health") == "000"
    assert look.changes(look.mirror("--json", "--limit", "gpu")) == []
