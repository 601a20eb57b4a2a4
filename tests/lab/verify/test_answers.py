"""The real Claude Code, as the developer, through each gateway to the engine."""

import json
import shlex
import subprocess

import pytest

from tests.lab import keys, look
from tests.lab.hosts import BY_NAME

NOTE = "/home/ada/mirrorfleet-note.txt"

# The developer's settings name the first gateway; an option selects the other.
THROUGH = {
    "gw-1": [],
    "gw-2": ["--settings", json.dumps({"env": {"ANTHROPIC_BASE_URL": "http://10.77.0.22:4000"}})],
}


def claude(gateway: str, *arguments: str) -> str:
    line = shlex.join(["claude", *THROUGH[gateway], *arguments])
    done = subprocess.run(
        keys.ssh("ada@dev", [line]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("gateway", look.GATEWAYS)
def test_an_answer(gateway: str) -> None:
    with look.journal("gpu", "-u", "mirrorfleet-vllm-tiny") as engine:
        answer = claude(gateway, "-p", "What does Mirrorfleet do?")
    assert "makes every machine of the fleet agree" in answer
    assert set(look.requests(engine)) == {str(BY_NAME[gateway].address)}


@pytest.mark.parametrize("gateway", look.GATEWAYS)
def test_a_tool_call(gateway: str) -> None:
    dev = look.on("dev")
    assert not dev.file(NOTE).exists
    with look.journal("gpu", "-u", "mirrorfleet-vllm-tiny") as engine:
        answer = claude(gateway, "-p", "Please leave a note.", "--allowedTools", "Bash")
    note = dev.file(NOTE)
    assert (note.user, note.content_string) == ("ada", "hello from the tiny model\n")
    look.run("dev", f"rm {NOTE}")
    assert "I left a note" in answer
    requests = look.requests(engine)
    assert set(requests) == {str(BY_NAME[gateway].address)}
    assert len(requests) >= 2  # the tool call, and its result
