"""An engine whose new settings do not serve: it goes back, and what newly needs it waits."""

from pathlib import Path

from tests.lab import look

AS_IT_IS = "    family: hermes\n    hosts: [gpu]\n    context: 131072\n    output: 8192\n"
# Another parser for the engine, and another cap for gateways and clients.
ANOTHER = AS_IT_IS.replace("hermes", "llama-4").replace("8192", "4096")


def settled() -> dict[str, str]:
    """What engine, gateways and clients run with."""
    return {
        host: look.run(host, f"readlink /opt/mirrorfleet/{service}/current")
        for host, service in (("gpu", "vllm-tiny"), ("gw-1", "litellm"), ("gw-2", "litellm"))
    } | {"dev": look.run("dev", "cat /home/ada/.claude/settings.json")}


def test_a_wrong_parser_is_found_and_holds_back_gateways_and_clients(tmp_path: Path) -> None:
    before = settled()
    done = look.mirror(fleet=look.variant(tmp_path, AS_IT_IS, ANOTHER))
    said = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    assert "tiny: calls a tool, and the parser 'llama4_pythonic' does not see it" in said
    assert "rolled back to" in said
    words = " ".join(said.split())
    for host in ("gw-1", "gw-2"):
        assert (
            f"[{host}] skipped: the gateway keeps its running generation, because the new one needs"
            in words
        )
    assert "[dev] skipped: the settings of ~ada/.claude stay as they are: the new ones" in words
    assert settled() == before
    assert look.message("gw-1", look.secret("developers"))[0] == 200
    assert look.changes(look.mirror("--json")) == []
