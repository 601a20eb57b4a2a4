"""What to do about a tool call that Ollama's parser rejects: ask once more, then explain.

A model can write a tool call that the parser of its family cannot read. Ollama then answers 500
with the parser's error, or ends a stream without a word. The same prompt tends to fail again, and
clients repeat a 500 ten times. So the gateway asks once more with a hint, and if that fails too, it
answers with text, so that the session goes on.

Plain Python, without LiteLLM.
"""

from __future__ import annotations

import json
import re
from typing import Any

Json = dict[str, Any]

ERRORS = re.compile(
    r"""^(?:
      # encoding/xml, by qwen3coder.go and qwen35.go; glm46.go and glm47.go add a prefix
      (?:failed\ to\ parse\ XML:\ |incomplete\ GLM\ tool\ call:\ )?
        (?:XML\ syntax\ error\ on\ line\ |expected\ element\ type\ |EOF$)
    | incomplete\ GLM\ tool\ call:\ | mismatched\ arg_key\ and\ arg_value\ counts:\ 
      # encoding/json, by qwen3vl.go; qwen3.go, laguna.go and harmonyparser.go add a prefix
    | failed\ to\ parse\ JSON:\ | failed\ to\ parse\ Laguna\ JSON\ tool\ call
    | error\ parsing\ tool\ call:\ raw=
    | invalid\ character\ .+\ (?:looking\ for|after|in)\ | unexpected\ end\ of\ JSON\ input$
    | json:\ cannot\ unmarshal\ .+\ into\ Go\ 
    | empty\ (?:Laguna\ tool\ call\ name|(?:Glimmer\ )?function\ name)$
      # ministral.go
    | tool\ '.*'\ not\ found$
      # glimmer.go
    | (?:undeclared\ Glimmer\ function|parse\ Glimmer\ call\ to|Glimmer\ recipient)\ 
      # llama-server's own parser, and llm/llama_server.go
    | llama-server\ returned\ invalid\ tool\ call\ arguments\ for\ 
    | (?:llama-server\ chat\ error:\ .*)?Failed\ to\ parse\ input\ at\ pos\ 
    | (?:llama-server\ chat\ error:\ .*)?The\ model\ produced\ output\ that\ does\ not\ match\ 
    )""",
    re.VERBOSE | re.DOTALL,
)
"""The errors of Ollama's parsers for tool calls, from its model/parsers and harmony (0.33)."""

LONGEST = 300
"""Maximum characters of an error that are repeated: some contain the whole call."""

HINT_TOKENS = 200
"""The hint has at most this many tokens."""

ENOUGH = 1024
"""Answers of at least this many tokens can be shortened by the hint."""


def error(status: int, content: bytes) -> str:
    """Return the error of a parser from Ollama's response; "" for every other response."""
    if status != 500:
        return ""
    try:
        message = json.loads(content)["error"]["message"]
        if message.startswith("{"):  # Ollama repeats the response of its llama-server
            message = json.loads(message)["error"]["message"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    if not isinstance(message, str) or not ERRORS.match(message):
        return ""
    line = " ".join(message.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def hinted(request: Json, rejected: str) -> Json:
    """Return a request with the reason why the tool call was rejected."""
    hint = {
        "type": "text",
        "text": f"Your last tool call was malformed and was not run: {rejected}\n"
        "Call the tool again. Write all tags and brackets exactly as specified, and close each of "
        "them. If an argument is very long, use several smaller calls.",
    }
    *earlier, last = request["messages"]
    content = last["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    if last["role"] == "user":
        # Some templates accept only alternating messages of user and assistant.
        messages = [*earlier, {**last, "content": [*blocks, hint]}]
    else:
        messages = [*request["messages"], {"role": "user", "content": [hint]}]
    found = {**request, "messages": messages}
    if found.get("max_tokens", 0) >= ENOUGH:
        # Prompt and answer together still fit the window.
        found["max_tokens"] -= HINT_TOKENS
    return found


def explanation(model: str, rejected: str) -> Json:
    """Return the answer for a model whose tool call was rejected twice."""
    text = (
        "I tried to call a tool twice, and both calls were malformed, so that no tool ran. "
        f"Error of Ollama's parser: {rejected}\n"
        "Please ask for smaller steps, for example to write a long file in parts."
    )
    return {
        "id": "msg_mirrorfleet",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def events(answer: Json) -> bytes:
    """Return an answer of one block of text as a stream of events."""
    [block] = answer["content"]
    start = {**answer, "content": [], "stop_reason": None}
    delta = {"type": "text_delta", "text": block["text"]}
    ends = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    found: list[Json] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {**block, "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ends, "usage": answer["usage"]},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {it['type']}\ndata: {json.dumps(it)}\n\n" for it in found).encode()
