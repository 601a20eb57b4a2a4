"""A turn under way: what becomes of it in the ledger, without LiteLLM."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from mirrorfleet.roles.litellm.files import mirrorfleet_ledger

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_ledger import Turn

INFO = {"mirrorfleet_deployment": "gpu-1"}
DELTA = b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n'
STOP = b'event: message_stop\ndata: {"type": "message_stop"}\n\n'


def event(name: str, **content: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **content})}\n\n".encode()


START = event(
    "message_start", message={"usage": {"input_tokens": 10, "cache_read_input_tokens": 90}}
)
END = event("message_delta", usage={"output_tokens": 7})


@pytest.fixture(name="module")
def imported() -> Iterator[ModuleType]:
    """Yield the module as a gateway imports it: from its own directory."""
    with patch.dict(sys.modules, {"mirrorfleet_ledger": mirrorfleet_ledger}):
        from mirrorfleet.roles.litellm.files import mirrorfleet_usage_turn

        yield mirrorfleet_usage_turn


def turn(module: ModuleType, size: int = 4000) -> Any:
    return module.OpenTurn("ada", "team", "opus", "", size)


def streamed(module: ModuleType, *chunks: bytes, is_done: bool = True, left: bool = False) -> Turn:
    """Return the row of a streamed turn, of which LiteLLM reports nothing."""
    found = turn(module)
    found.call("coder", INFO, False, "messages")
    found.respond(200, True)
    for chunk in chunks:
        found.send(chunk, False)
    found.has_left = left
    if is_done:
        found.send(b"", True)
    found.end()
    row: Turn = found.row()
    return row


def test_the_usage_in_a_stream_counts_without_a_report(module: ModuleType) -> None:
    row = streamed(module, START, DELTA, DELTA, END, STOP)
    assert (row.outcome, row.status, row.estimated) == ("complete", 200, 0)
    assert (row.input, row.cache_read, row.output) == (10, 90, 7)
    assert (row.model, row.deployment, row.cost) == ("coder", "gpu-1", None)
    assert row.first is not None


def test_a_cut_stream_counts_the_deltas(module: ModuleType) -> None:
    row = streamed(module, START, DELTA * 3, is_done=False, left=True)
    assert (row.outcome, row.status, row.estimated) == ("cut", 499, 1)
    assert (row.input, row.cache_read, row.output) == (10, 90, 3)


def test_a_turn_that_is_cut_before_its_answer_counts_its_bytes(module: ModuleType) -> None:
    row = streamed(module, is_done=False, left=True)
    assert (row.outcome, row.estimated, row.input, row.output) == ("cut", 1, 1000, 0)


def test_a_stream_without_its_end_has_failed(module: ModuleType) -> None:
    row = streamed(module, START, DELTA * 3)
    assert (row.outcome, row.status, row.estimated, row.output) == ("failed", 200, 1, 3)


def test_the_usage_of_a_whole_answer_counts_without_a_report(module: ModuleType) -> None:
    found = turn(module)
    found.call("coder", {**INFO, "input_cost_per_token": 1e-6}, False, "messages")
    found.respond(200, False)
    text = {"type": "text", "text": 'its "usage": {"output_tokens": 99}'}
    usage = {"input_tokens": 12, "output_tokens": 3, "server_tool_use": {"web_search_requests": 1}}
    found.send(json.dumps({"content": [text], "usage": usage}).encode(), True)
    found.end()
    assert found.patience < 1
    row = found.row()
    assert (row.input, row.output, row.estimated, row.cost) == (12, 3, 0, 12_000)


def test_the_calls_of_one_turn_are_added(module: ModuleType) -> None:
    found = turn(module)
    for _ in range(2):  # a web search: the model is called again with the results
        found.call("coder", {**INFO, "input_cost_per_token": 1e-6}, False, "messages")
        found.succeed({"prompt_tokens": 100, "completion_tokens": 5, "response_cost": 0.1})
    found.respond(200, False)
    found.send(b"{}", True)
    assert found.is_counted
    row = found.row()
    assert (row.input, row.output, row.cost) == (200, 10, 200_000)


def test_a_translated_turn_waits_for_the_one_report_of_its_call(module: ModuleType) -> None:
    """LiteLLM calls a model of another API inside of its call, and reports only the outer one."""
    found = turn(module)
    for kind in ("CallTypes.anthropic_messages", "CallTypes.acompletion"):
        found.call("coder", INFO, False, kind)
    found.respond(200, False)
    found.send(b"{}", True)
    found.end()
    assert not found.is_counted
    found.succeed({"prompt_tokens": 100, "completion_tokens": 5})
    assert found.is_counted


def test_a_report_of_another_api_has_its_cache_reads_in_the_prompt(module: ModuleType) -> None:
    usage = {"prompt_tokens_details": {"cached_tokens": 60}}
    payload = {"prompt_tokens": 100, "completion_tokens": 5, "metadata": {"usage_object": usage}}
    assert module.reported(payload) == (40, 60, 0, 5)


def test_people_have_names_pseudonyms_or_nothing(module: ModuleType) -> None:
    assert module.identity("name", "secret")("ada") == "ada"
    assert module.identity("off", "secret")("ada") == ""
    one, other = module.identity("pseudonym", "secret"), module.identity("pseudonym", "other")
    assert one("ada") == module.identity("pseudonym", "secret")("ada") != one("bob")
    assert one("ada").startswith("p-")
    assert one("ada") != other("ada")
    assert one("") == ""


def test_a_session_is_a_uuid(module: ModuleType) -> None:
    good = "0b9f6a52-3c1d-4f6e-9b57-2f0a9c0d1e2f"
    assert module.session(good) == good
    assert module.session("write me a story") == ""


CHAT = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"word"}}]}\n\n'
CHAT_END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
RESPONSE = b'data: {"type":"response.output_text.delta","delta":"word"}\n\n'
RESPONSE_END = b'data: {"type":"response.completed","response":{}}\n\n'


@pytest.mark.parametrize(
    ("chunks", "outcome", "output"),
    [
        ([CHAT, CHAT, CHAT_END], "complete", 2),
        ([CHAT, CHAT, b'data: {"error":{"message":"x"}}\n\n'], "failed", 2),
        ([CHAT, CHAT], "failed", 2),
        ([RESPONSE, RESPONSE, RESPONSE_END], "complete", 2),
        ([RESPONSE, b'event: response.failed\ndata: {"type":"response.failed"}\n\n'], "failed", 1),
        ([RESPONSE, RESPONSE], "failed", 2),
        # What looks like an event in a text has escaped quotes.
        ([CHAT.replace(b"word", rb"{\"type\":\"response.failed\"}"), CHAT_END], "complete", 1),
    ],
)
def test_streams_of_openais_api(
    module: ModuleType, chunks: list[bytes], outcome: str, output: int
) -> None:
    row = streamed(module, *chunks)
    assert (row.outcome, row.output, row.estimated) == (outcome, output, 1)
    cut = streamed(module, *chunks[:1], is_done=False, left=True)
    assert (cut.outcome, cut.output) == ("cut", 1)
