"""Pure: the turns of the proof's session, as Claude Code 2.1.330 sends them.

A part of the proof, which runs on hosts with the standard library only: see session.py.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

Json = dict[str, Any]

ANSWER = 32
"""Maximum tokens of most answers: a turn that the engine takes needs no whole answer."""

CALL = 4096
"""Maximum tokens of the answer with a tool call: some models think before a call."""

PROMPT = "Leave a note with the Bash tool: run the command `echo ready > note.txt`. Call it now."

SYSTEM = "You are Claude Code, Anthropic's official CLI for Claude."

RULES = "Use the tools that you have. Answer in one short sentence."

REMINDER = "<system-reminder>\nThe task tools have not been used recently.\n</system-reminder>"


def _tool(name: str, description: str, key: str, text: str) -> Json:
    properties = {key: {"type": "string", "description": text}}
    schema = {
        "type": "object",
        "properties": properties,
        "required": [key],
        "additionalProperties": False,
    }
    return {"name": name, "description": description, "input_schema": schema}


BASH = _tool(
    "Bash", "Runs a command in a shell and returns what it prints.", "command", "The command."
)
"""The tool as Claude Code defines it. This program runs no call."""

READ = _tool("Read", "Reads a file.", "file_path", "The path of the file.")
SEARCH = _tool("ToolSearch", "Finds tools by their name.", "query", "The names.")
DEFERRED = ("NoteWrite", "NotificationOfTheWholeTeamByEveryKnownChannelSend")
"""Tools that ToolSearch finds. Their names differ in length, so a prompt shows which it has."""

NAME = BASH["name"]

COMMAND = {"command": "echo ready > note.txt"}


def opening(*, tools: bool, thinking: Json, room: int = ANSWER) -> Json:
    """Return the first turn of a session; ``thinking`` are the parameters that turn it on."""
    body: Json = {
        "max_tokens": room,
        "system": [_text(SYSTEM), _text(RULES, cached=True)],
        "messages": [_user(_text(PROMPT, cached=True))],
        "metadata": {"user_id": "mirrorfleet-proof"},
    }
    if tools:
        body["tools"] = [BASH, READ]
    return with_thinking(body, thinking)


def with_thinking(body: Json, thinking: Json) -> Json:
    """Return a turn with these parameters for thinking and effort in place of its own."""
    kept = {key: body[key] for key in body if key not in (*THINKING, "temperature")}
    if thinking.get("thinking") == {"type": "disabled"} or not thinking:
        return {**kept, **thinking, "temperature": 1}
    return {**kept, **thinking, "context_management": {"edits": [CLEARING]}}


THINKING = ("thinking", "output_config", "chat_template_kwargs", "context_management")
CLEARING = {"type": "clear_thinking_20251015", "keep": "all"}


def result(start: Json, *, tools: bool) -> Json:
    """Return the turn after a tool call and its result; without tools, after an answer."""
    if not tools:
        return _continued(start, [_text("Ready.")], [_text("Is it?", cached=True)])
    call = {"type": "tool_use", "id": "toolu_01", "name": NAME, "input": COMMAND}
    answer = _result("toolu_01", "(Bash completed with no output)")
    return _continued(start, [_text("I leave a note."), call], [answer])


def reference(start: Json, name: str) -> Json:
    """Return a turn after a tool search that found one tool of ``DEFERRED``."""
    found = [_tool(each, "Sends a note.", "text", "The note.") for each in DEFERRED]
    tools = [*start["tools"], SEARCH, *({**tool, "defer_loading": True} for tool in found)]
    search = {"type": "tool_use", "id": "toolu_02", "name": SEARCH["name"]}
    search["input"] = {"query": "notes"}
    content = [{"type": "tool_reference", "tool_name": name}]
    return {**_continued(start, [search], [_result("toolu_02", content)]), "tools": tools}


def image(start: Json, *, tools: bool) -> Json:
    """Return a turn with an image: the result of Read; without tools, a pasted one."""
    picture = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
    block = {"type": "image", "source": picture}
    if not tools:
        return {**start, "messages": [_user(block, _text("What is this?", cached=True))]}
    call = {"type": "tool_use", "id": "toolu_03", "name": READ["name"]}
    call["input"] = {"file_path": "/tmp/note.png"}
    return _continued(start, [call], [_result("toolu_03", [block])])


def reminder(start: Json) -> Json:
    """Return a turn with a system message in mid-conversation."""
    body = _continued(start, [_text("Ready.")], [_text("Go on.")])
    system = {"role": "system", "content": [_text(REMINDER, cached=True)]}
    return {**body, "messages": [*body["messages"], system]}


def long(start: Json, words: int) -> Json:
    """Return a turn with a prompt of many words, the same for the same number."""
    body = _continued(start, [_text("Send the file.")], [_text(document(words), cached=True)])
    return {**body, "max_tokens": 1}


def two(start: Json, words: int, nonce: str) -> tuple[Json, Json]:
    """Return the two turns of the canary; their prompt begins with ``nonce``."""
    unique = [_text(f"Session {nonce}."), *start["system"]]
    first = {**long({**start, "system": unique}, words), "max_tokens": ANSWER}
    return first, {**second(first, COUNT), "max_tokens": COUNTED}


COUNT = "Count from one to one hundred, in words."
COUNTED = 128
"""Maximum tokens of the canary's second answer, of which the throughput is measured."""


def second(first: Json, text: str = "Go on.") -> Json:
    """Return the turn after another: its prompt begins with the same tokens."""
    more = [{"role": "assistant", "content": [_text("I have it.")]}, _user(_text(text))]
    return {**first, "messages": [*first["messages"], *more]}


def warm_up(start: Json) -> Json:
    """Return a short turn, which loads a model and opens connections."""
    return {**start, "max_tokens": 1, "messages": [_user(_text("Hello"))]}


def document(words: int) -> str:
    """Return a text of many words, like the code and prose in a prompt."""
    line = LINE.split()
    return " ".join(line[at % len(line)] if at % 11 else f"\n{at}:" for at in range(words))


LINE = (
    "the engine reads this line again and keeps what it computed so that the next turn is short "
    "when a gateway sends all of them"
)


def size(body: Json) -> int:
    """Return the characters of a request that become tokens."""
    keys = ("system", "messages", "tools")
    return sum(len(json.dumps(body[key], ensure_ascii=False)) for key in keys if key in body)


def _continued(start: Json, answer: list[Json], then: list[Json]) -> Json:
    """Return the next turn. History that a model thought about begins with its thinking."""
    thoughts = [{"type": "thinking", "thinking": "A note.", "signature": "c2lnbmF0dXJl"}]
    blocks = [*(thoughts if "context_management" in start else []), *answer]
    more = [{"role": "assistant", "content": blocks}, _user(*then)]
    return {**start, "max_tokens": ANSWER, "messages": [*start["messages"], *more]}


def _user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


def _text(text: str, *, cached: bool = False) -> Json:
    block: Json = {"type": "text", "text": text}
    return {**block, "cache_control": {"type": "ephemeral"}} if cached else block


def _result(call: str, content: Any) -> Json:
    block = {"type": "tool_result", "tool_use_id": call, "content": content}
    return {**block, "cache_control": {"type": "ephemeral"}}


def _png(side: int = 64) -> bytes:
    """Return a grey square. Models with patches refuse smaller ones."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * 3 * side) * side)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


PNG = _png()
