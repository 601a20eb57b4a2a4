"""A conversation grows to the declared window: the client compacts before the engine refuses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look
from tests.lab.conversation import conversation

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


def test_the_client_compacts_before_the_engine_refuses(small: None) -> None:
    sources = sorted(Path(json.__file__).parents[1].glob("*.py"))
    text = "".join(source.read_text("utf-8", "replace") for source in sources)
    prompts: list[int] = []
    compactions: list[int] = []
    with (
        look.journal("gpu", "-u", "mirrorfleet-vllm-tiny") as engine,
        conversation("--tools", "") as session,
    ):
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
