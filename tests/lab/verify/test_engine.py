"""An engine whose new settings fail: it rolls back, and gateways and clients do not change."""

from pathlib import Path

from tests.lab import look

CURRENT = "    family: hermes\n    hosts: [gpu]\n    context: 131072\n    output: 8192\n"
# Another parser for the engine, and another output limit for gateways and clients.
BROKEN = CURRENT.replace("hermes", "llama-4").replace("8192", "4096")


def state() -> dict[str, str]:
    """Return the generations of engine and gateways, and the settings of the client."""
    return {
        host: look.run(host, f"readlink /opt/mirrorfleet/{service}/current")
        for host, service in (("gpu", "vllm-tiny"), ("gw-1", "litellm"), ("gw-2", "litellm"))
    } | {"dev": look.run("dev", "cat /home/ada/.claude/settings.json")}


def test_a_wrong_parser_is_detected_and_gateways_and_clients_do_not_change(tmp_path: Path) -> None:
    before = state()
    done = look.mirror(fleet=look.variant(tmp_path, CURRENT, BROKEN))
    output = " ".join(look.plain(done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert (
        "tiny: calls a tool, but the parser 'llama4_pythonic' does not recognize the call" in output
    )
    assert "rolled back to" in output
    for host in ("gw-1", "gw-2"):
        assert (
            f"[{host}] skipped: the gateway keeps its running generation, because the new one needs"
            in output
        )
    assert "[dev] skipped: the settings of ~ada/.claude stay as they are: the new ones" in output
    assert state() == before
    assert look.message("gw-1", look.secret("developers"))[0] == 200
    assert look.changes(look.mirror("--json")) == []
