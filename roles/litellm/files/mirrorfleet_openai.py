"""What a developer's request to OpenAI's API may hold: chats, responses and embeddings.

Responses are never stored. Whatever names something that a provider stores (a response, an item,
a file, an object of a bucket) is refused: the gateway's account could read it, and it can be
another developer's. Tools that LiteLLM or a provider runs with the gateway's own rights (MCP
servers, files, vector stores, containers) are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Refused
else:
    from mirrorfleet_key_file import Refused

Json = dict[str, Any]

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"

_SAMPLING = frozenset({"model", "temperature", "top_p", "stream", "stream_options", "metadata"})
_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
_PROVIDER = frozenset({"service_tier", "prompt_cache_key", "safety_identifier"})

FIELDS = {
    CHAT: frozenset(
        {
            *(*_SAMPLING, *_TOOLS, *_PROVIDER, "messages", "max_tokens", "max_completion_tokens"),
            *("stop", "seed", "n", "top_k", "frequency_penalty", "presence_penalty", "logit_bias"),
            *("logprobs", "top_logprobs", "response_format", "reasoning_effort", "verbosity"),
            *("thinking", "functions", "function_call", "prediction", "modalities", "audio"),
        }
    ),
    RESPONSES: frozenset(
        {
            *(*_SAMPLING, *_TOOLS, *_PROVIDER, "input", "instructions", "max_output_tokens"),
            *("include", "reasoning", "text", "truncation", "top_logprobs", "max_tool_calls"),
        }
    ),
    EMBEDDINGS: frozenset({"model", "input", "dimensions", "encoding_format"}),
}
"""The fields that pass, by path: those of mirrorfleet_clients.py."""

STORED = ("previous_response_id", "conversation", "prompt", "background")
"""Fields that refer to what a provider or LiteLLM stores."""

TOOLS = frozenset({"function", "custom", "local_shell", "shell", "apply_patch"})
"""Types of tools that the client runs. A tool without a type is an old function."""

ITEMS = frozenset(
    {
        *("message", "reasoning", "compaction", "compaction_summary", "web_search_call"),
        *("function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
        *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output"),
        *("apply_patch_call", "apply_patch_call_output"),
    }
)
"""Types of items of a response's input: what a client and a model without storage exchange. An
item without a type is a message."""

DEPTH = 3
"""Maximum number of lists of parts inside each other: a tool's result in a message has two."""

ADDRESSES = ("data:", "https://", "http://")
"""How an address of a picture or file can begin; LiteLLM fetches none of the private network."""

SEARCHES = frozenset({"web_search", "web_search_preview"})
"""Types of tools with which a provider searches the web."""


def _are(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_integer(value)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


VALUES: dict[str, tuple[Callable[[Any], bool], tuple[str, ...]]] = {
    "an integer": (
        _is_integer,
        (
            *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tool_calls"),
            *("top_k", "n", "seed", "top_logprobs", "dimensions"),
        ),
    ),
    "a number": (
        _is_number,
        ("temperature", "top_p", "frequency_penalty", "presence_penalty"),
    ),
    "true or false": (_is(bool), ("stream", "parallel_tool_calls", "logprobs")),
    "a string": (
        _is(str),
        (
            *("service_tier", "prompt_cache_key", "safety_identifier", "reasoning_effort"),
            *("verbosity", "instructions", "truncation", "encoding_format"),
        ),
    ),
    "an object": (
        _is(dict),
        (
            *("reasoning", "text", "thinking", "logit_bias", "stream_options", "prediction"),
            "audio",
        ),
    ),
    "an object with a type": (
        lambda value: isinstance(value, dict) and isinstance(value.get("type"), str),
        ("response_format",),
    ),
    "a string or an object": (_is(str, dict), ("tool_choice", "function_call")),
    "a string or a list of strings": (
        lambda value: isinstance(value, str) or _are(str)(value),
        ("stop",),
    ),
    "a list of strings": (_are(str), ("modalities", "include")),
    "a list of objects": (_are(dict), ("tools", "functions")),
}
"""What a field is, and which ones. LiteLLM fails with 500 for others, which counts as a failure of
the model, and a fallback would answer."""


def check(path: str, body: Json) -> None:
    """Raise ``Refused`` for what is no request of OpenAI's API."""
    if path == RESPONSES and (stored := [name for name in STORED if body.get(name)]):
        text = "this gateway stores no responses. Send the whole conversation."
        raise Refused(400, f"{stored[0]}: {text}")
    content = "messages" if path == CHAT else "input"
    value = body.get(content)
    if path == CHAT or not isinstance(value, str):
        items = value if isinstance(value, list) else []
        if not items or (path != EMBEDDINGS and not all(isinstance(it, dict) for it in items)):
            raise Refused(400, f"{content}: expected a list of objects.")
        if path != EMBEDDINGS:
            _check_items(path, content, items)
    for expected, (is_valid, names) in VALUES.items():
        for name in names:
            if body.get(name) is not None and not is_valid(body[name]):
                raise Refused(400, f"{name}: expected {expected}.")


def _check_items(path: str, name: str, items: list[Json]) -> None:
    """Raise ``Refused`` for items and parts that name something stored."""
    for item in items:
        kind = item.get("type") or "message"
        if path == RESPONSES and (not isinstance(kind, str) or kind not in ITEMS):
            raise Refused(400, f"{name}: this gateway takes no item of type {str(kind)[:40]!r}.")
        if item.get("audio"):
            raise Refused(400, f"{name}: this gateway takes no audio of an earlier answer.")
        for parts in (item.get("content"), item.get("output")):
            _check_parts(name, parts, DEPTH)


def _check_parts(name: str, parts: Any, depth: int) -> None:
    if not isinstance(parts, list):
        return
    if not depth:
        raise Refused(400, f"{name}: nested too deeply.")
    for part in parts:
        if isinstance(part, dict):
            _check_part(name, part)
            _check_parts(name, part.get("content"), depth - 1)


def _check_part(name: str, part: Json) -> None:
    for holder in (part, *part.values()):
        if not isinstance(holder, dict):
            continue
        if holder.get("file_id"):
            raise Refused(400, f"{name}: this gateway takes no file_id. Send the file itself.")
        for key, value in holder.items():
            if isinstance(value, str) and _is_stored(key, value):
                text = f"expected an address with {', '.join(ADDRESSES)}."
                raise Refused(400, f"{name}: {key[:40]}: {text}")


def _is_stored(key: str, value: str) -> bool:
    """Return whether a field is an address of something that the gateway's account can read."""
    if key == "file_data":  # the content, or an address
        return "://" in value[:40] and not value.startswith(ADDRESSES)
    return key.endswith("url") and not value.startswith(ADDRESSES)


def prepare(path: str, body: Json, searches: bool, leave_out: Callable[[str], None]) -> None:
    """Remove tools that do not pass, and keep the provider from storing the response.

    ``searches``: the model searches the web itself. LiteLLM's own search fails in a stream of this
    API. ``leave_out`` logs what is removed.
    """
    if path == RESPONSES:
        body["store"] = False
    allowed = TOOLS | SEARCHES if searches and path == RESPONSES else TOOLS
    kept = []
    for tool in body.get("tools") or ():
        kind = tool.get("type", "function")
        if isinstance(kind, str) and kind in allowed and not _is_remote(tool):
            kept.append(tool)
        else:
            leave_out(f"tools[type={str(kind)[:40]}]")
    if "tools" in body and not kept:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
    elif "tools" in body:
        body["tools"] = kept


def _is_remote(tool: Json) -> bool:
    """Return whether a shell runs in a container of the provider, which may be another's."""
    place = tool.get("environment")
    return place is not None and not (isinstance(place, dict) and place.get("type") == "local")


def error(code: int, kind: str, message: str) -> Json:
    """Return an error that clients of both APIs can read."""
    inner = {"message": message, "type": kind, "param": None, "code": str(code)}
    return {"type": "error", "error": inner}
