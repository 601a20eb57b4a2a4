"""Tool calls that Ollama's parsers reject: which errors they are, the hint, the explanation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirrorfleet.roles.litellm.files import mirrorfleet_rejected_calls as rejected_calls

PARSERS = [
    "XML syntax error on line 4: element <parameter> closed by </function>",
    "expected element type <function> but have <tool>",
    "EOF",
    "failed to parse XML: XML syntax error on line 1: unexpected EOF",
    "incomplete GLM tool call: empty function name",
    "mismatched arg_key and arg_value counts: 2 keys, 1 values",
    "failed to parse JSON: invalid character '}' looking for beginning of object key string",
    "invalid character 'x' after object key:value pair",
    "unexpected end of JSON input",
    "json: cannot unmarshal string into Go struct field .arguments of type map[string]interface {}",
    "empty function name",
    "failed to parse Laguna JSON tool call arguments: unexpected end of JSON input",
    'error parsing tool call: raw=\'{"path": \n"a\', err=unexpected end of JSON input',
    "tool 'Foo' not found",
    'undeclared Glimmer function "Foo"',
    'llama-server returned invalid tool call arguments for "Write": unexpected end of JSON input',
    'Failed to parse input at pos 13: <tool_call>{"name"',
    "llama-server chat error: map[code:500 message:Failed to parse input at pos 3: <tool]",
    "The model produced output that does not match the expected peg-native format",
]

OTHERS = [
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal "
    "error, check ollama server logs for details",
    "llama-server process has terminated: exit status 1",
    "unexpected server status: llm server loading model",
    "an error was encountered while running the model: unexpected EOF",
    "model 'x' not found",
]


def response(message: Any) -> bytes:
    """Return an error of Ollama's /v1/messages."""
    error = {"type": "api_error", "message": message}
    return json.dumps({"type": "error", "error": error}).encode()


@pytest.mark.parametrize("message", PARSERS)
def test_errors_of_parsers_are_known(message: str) -> None:
    assert rejected_calls.error(500, response(message)) == " ".join(message.split())
    inner = json.dumps({"error": {"code": 500, "message": message, "type": "server_error"}})
    assert rejected_calls.error(500, response(inner)), "as llama-server reports it"
    assert not rejected_calls.error(400, response(message))


@pytest.mark.parametrize("message", [*OTHERS, "", None, 3, "{", "{}"])
def test_other_errors_are_not_mended(message: Any) -> None:
    assert not rejected_calls.error(500, response(message))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"Internal Server Error"])
def test_a_response_of_another_form_is_not_mended(content: bytes) -> None:
    assert not rejected_calls.error(500, content)


def test_a_long_error_is_shortened() -> None:
    found = rejected_calls.error(500, response(f"Failed to parse input at pos 3: {'x' * 9999}"))
    assert len(found) == rejected_calls.LONGEST + 1


@pytest.mark.parametrize("content", ["Write.", [{"type": "text", "text": "Write."}]])
def test_the_hint_is_in_the_last_message_of_the_user(content: Any) -> None:
    request = {"max_tokens": 4096, "messages": [{"role": "user", "content": content}]}
    found = rejected_calls.hinted(request, "unexpected EOF")
    [message] = found["messages"]
    first, hint = message["content"]
    assert first == {"type": "text", "text": "Write."}
    assert "unexpected EOF" in hint["text"]
    assert found["max_tokens"] == 4096 - rejected_calls.HINT_TOKENS
    assert request["messages"] == [{"role": "user", "content": content}]


def test_after_a_message_of_the_system_the_hint_is_a_message_of_its_own() -> None:
    request = {"max_tokens": 16, "messages": [{"role": "system", "content": "A reminder."}]}
    found = rejected_calls.hinted(request, "EOF")
    assert [message["role"] for message in found["messages"]] == ["system", "user"]
    assert found["max_tokens"] == 16


def test_the_explanation_is_the_same_as_events() -> None:
    answer = rejected_calls.explanation("coder", "unexpected EOF")
    lines = rejected_calls.events(answer).decode().split("\n\n")
    found = [json.loads(line.partition("data: ")[2]) for line in lines if line]
    assert [event["type"] for event in found][-1] == "message_stop"
    [delta] = [event["delta"] for event in found if event["type"] == "content_block_delta"]
    assert delta["text"] == answer["content"][0]["text"]
    assert "unexpected EOF" in delta["text"]
