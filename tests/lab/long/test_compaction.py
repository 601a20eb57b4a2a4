"""A conversation grows to the declared window: the client compacts before the engine refuses."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import keys, look

WINDOW, ANSWER = 49152, 8192
THRESHOLD = WINDOW - ANSWER - 13000
"""Tokens at which Claude Code 2.1.330 begins to compact. It estimates the newest messages from
their length in characters; measured: 27,117 and 27,624."""

LENGTH = 20_000
"""Characters of each message: about 6,000 tokens for the tiny model."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[None]:
    """Deploy the lab with a window that a few messages fill."""
    fleet = look.variant(tmp_path, "    context: 131072\n", f"    context: {WINDOW}\n")
    try:
        done = look.mirror(fleet=fleet)
        assert done.returncode == 0, done.stdout + done.stderr
        yield
    finally:
        assert look.mirror().returncode == 0


@contextmanager
def conversation() -> Iterator["Conversation"]:
    """Run a session of the real client as ada on `dev`."""
    options = "--input-format stream-json --output-format stream-json --verbose --tools ''"
    line = keys.ssh("ada@dev", [f"claude -p {options} --no-session-persistence"])
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        yield Conversation(client)
        assert client.stdin
        client.stdin.close()


class Conversation:
    """A session of the client, with messages as JSON lines."""

    def __init__(self, client: "subprocess.Popen[str]") -> None:
        self.client = client

    def send(self, text: str) -> list[dict[str, Any]]:
        """Send a message; return the client's events up to the result."""
        assert self.client.stdin and self.client.stdout
        message = {"type": "user", "message": {"role": "user", "content": text}}
        self.client.stdin.write(json.dumps(message) + "\n")
        self.client.stdin.flush()
        events: list[dict[str, Any]] = []
        for line in self.client.stdout:
            if line.startswith("{"):
                events.append(json.loads(line))
                if events[-1]["type"] == "result":
                    break
        return events


def test_the_client_compacts_before_the_engine_refuses(small: None) -> None:
    sources = sorted(Path(json.__file__).parents[1].glob("*.py"))
    text = "".join(source.read_text("utf-8", "replace") for source in sources)
    prompts: list[int] = []
    compactions: list[int] = []
    with look.journal("gpu", "-u", "mirrorfleet-vllm-tiny") as engine, conversation() as session:
        for turn in range(7):
            message = f"Part {turn} of a file:\n{text[turn * LENGTH : (turn + 1) * LENGTH]}"
            events = session.send(message)
            compactions += [
                event["compact_metadata"]["pre_tokens"]
                for event in events
                if event.get("subtype") == "compact_boundary"
            ]
            result = events[-1]
            assert not result["is_error"], result
            assert result["modelUsage"]["tiny"]["contextWindow"] == WINDOW
            prompts.append(result["usage"]["input_tokens"])
    print(f"prompts: {prompts}; compacted at {compactions}, expected at {THRESHOLD}")
    assert compactions
    assert all(THRESHOLD * 0.9 < tokens < WINDOW - ANSWER for tokens in compactions)
    assert max(prompts) < WINDOW - ANSWER
    assert min(prompts[prompts.index(max(prompts)) :]) < max(prompts) / 2
    codes = {
        code for line in engine for code in re.findall(r'/v1/messages\S* HTTP/1.1" (\d+)', line)
    }
    assert codes == {"200"}
