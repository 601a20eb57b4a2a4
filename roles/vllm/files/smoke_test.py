"""Test that vLLM serves Claude Code: tool calls, with and without streaming, and the window.

A model for embeddings or scores is tested with one request of its own.

Runs on the host, as root, with its python3 and the standard library only:

    smoke_test.py URL USER <serves.json

VLLM_API_KEY in the environment holds the key, which is sent to a process of USER only. Exits with 0
if the engine serves, with 1 while it starts, and with NEVER if waiting does not help.

The shell passes this program to Python as text, so it is one file.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

NEVER = 78

PATIENCE = 600
"""Maximum seconds for all requests: during the first ones, a large model compiles kernels."""

TRIES = 3
"""Attempts: a model may answer in prose, and call the tool at the next attempt."""

MAX_TOKENS = 4096
"""Maximum tokens of an answer: some models think before a call."""

TOOL = {
    "name": "Bash",
    "description": "Runs a command in a shell and returns what it prints.",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string", "description": "The command to run."}},
        "required": ["command"],
    },
}
"""The tool as Claude Code defines it. This program runs no call."""

POOLING: dict[str, tuple[str, dict[str, Any]]] = {
    "embed": ("/v1/embeddings", {"input": "a note"}),
    "rerank": ("/v1/rerank", {"query": "a note", "documents": ["a note", "a song"]}),
}
"""Path and content of a request for each task of a pooling model."""

_PATHS = {path for path, _ in POOLING.values()}

WRONG_TASK = (
    "These weights do not support the 'task': correct it, or add 'convert' from the model card to "
    "'arguments'."
)

PROMPT = "Leave a note with the Bash tool: run the command `echo ready > note.txt`. Call it now."

# Text of a call that the parser did not recognize, in the formats of models.
UNPARSED = re.compile(
    r"<[^\s>]{0,20}(?:tool|function|invoke|call)"
    r'|\[TOOL_CALLS|"name"\s*:\s*"Bash"|"command"\s*:|functions?\.Bash|Bash\(command'
)

ANOTHER = (
    "Its calls need another parser: correct 'family', or set 'tool_parser' and 'reasoning_parser'."
)

Json = dict[str, Any]

# Without a proxy: the server is on this host.
_open = build_opener(ProxyHandler({})).open


class Failure(Exception):
    """A failure with its remedy, for the operator."""


class NotReady(Exception):
    """The engine may still start."""


class Engine:
    """The requests of this test to vLLM."""

    def __init__(self, url: str, key: str, user: int) -> None:
        self.url = url
        self.user = user
        self.headers = {"Content-Type": "application/json"}
        if key:
            self.headers["Authorization"] = f"Bearer {key}"

    @contextmanager
    def request(self, path: str, body: Json | None = None) -> Iterator[Any]:
        """Yield the response. Raises ``NotReady``, or ``Failure`` with the error."""
        if listeners(urlsplit(self.url).port or 80) != {self.user}:
            raise NotReady
        data = None if body is None else json.dumps(body).encode()
        try:
            with _open(Request(self.url + path, data, self.headers), timeout=PATIENCE) as response:
                yield response
        except HTTPError as error:
            if error.code == 503:
                raise NotReady from None
            text = error.read().decode(errors="replace").strip()
            more = f" {WRONG_TASK}" if error.code == 404 and path in _PATHS else ""
            raise Failure(f"answers {path} with {error.code}: {_reason(text)}{more}") from None

    def window(self, model: str) -> int | None:
        """Return the window that the engine reports. Raises ``NotReady`` without an engine."""
        try:
            with self.request("/v1/models") as response:
                models = json.load(response)["data"]
        except (OSError, HTTPException):
            raise NotReady from None
        return next((entry.get("max_model_len") for entry in models if entry["id"] == model), None)

    def cache(self) -> tuple[int, float] | None:
        """Return the capacity of the KV cache in tokens and in full windows.

        Several replicas of the model behind one address are added up.
        """
        with self.request("/metrics") as response:
            replicas = re.findall(
                r"^vllm:cache_config_info\{.*", response.read().decode(), re.MULTILINE
            )
        tokens, windows = (
            [float(value) for line in replicas for value in re.findall(f'{name}="([0-9.]+)"', line)]
            for name in ("kv_cache_size_tokens", "kv_cache_max_concurrency")
        )
        return (int(sum(tokens)), sum(windows)) if tokens and windows else None

    def message(self, body: Json, *, streamed: bool) -> Json:
        """Return the answer; a stream is assembled."""
        with self.request("/v1/messages", {**body, "stream": streamed}) as response:
            return assembled(response) if streamed else json.load(response)


def listeners(port: int) -> set[int]:
    """Return the user IDs that listen on a TCP port of this host."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError):  # a host without IPv6
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                _, local, _, state, _, _, _, user, *_ = line.split()
                if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                    found.add(int(user))
    return found


def assembled(stream: Any) -> Json:
    """Return the message of a stream of events, as a client assembles it."""
    blocks: list[Json] = []
    message: Json = {}
    kind = ""
    for line in stream:
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line.removeprefix(b"data:"))
        kind = event["type"]
        if kind == "error":
            raise Failure(f"ends a stream with the error '{_reason(json.dumps(event))}'.")
        if kind == "content_block_start":
            blocks.append({**event["content_block"], "partial": ""})
        elif kind == "content_block_delta":
            delta = event["delta"]
            blocks[-1]["partial"] += delta.get("text") or delta.get("partial_json") or ""
        elif kind == "message_delta":
            message |= event["delta"]
    if kind != "message_stop":
        raise Failure("ends a stream before its last event. See the journal of the engine.")
    for block in blocks:
        content = block.pop("partial")
        if block["type"] == "tool_use":
            block["input"] = _object(content)
        elif block["type"] == "text":
            block["text"] = content
    return {**message, "content": blocks}


def _object(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[-300:]


def run_tests(engine: Engine, expected: Json) -> None:
    """Run all tests, and print the results. Raises ``Failure``."""
    compare(engine.window(expected["model"]), expected)
    if task := expected.get("task"):
        print(f"{expected['model']}: {pool(engine, expected['model'], task)}")
        return
    results = [measure(engine.cache(), expected)]
    body = {
        "model": expected["model"],
        "max_tokens": min(MAX_TOKENS, expected["context"] // 2),
        "messages": [{"role": "user", "content": PROMPT}],
    }
    for streamed in (False, True):
        if expected["parser"]:
            results += call(engine, {**body, "tools": [TOOL]}, expected, streamed=streamed)
        else:
            check_answer(engine, {**body, "max_tokens": 16}, streamed=streamed)
    for line in dict.fromkeys(results):
        print(f"{expected['model']}: {line}")


def pool(engine: Engine, model: str, task: str) -> str:
    """Have a pooling model do its task, and return a line on it. Raises ``Failure``.

    ``task``: "embed" or "rerank".
    """
    path, body = POOLING[task]
    with engine.request(path, {"model": model, **body}) as response:
        answer = json.load(response)
    if task == "embed":
        vectors = [len(entry["embedding"]) for entry in answer["data"]]
        if not vectors or not all(vectors):
            raise Failure("returns no embedding. See the journal of the engine.")
        return f"makes embeddings of {vectors[0]} numbers"
    scores = [entry["relevance_score"] for entry in answer["results"]]
    if len(scores) != len(body["documents"]):
        raise Failure(
            f"returns {len(scores)} scores for {len(body['documents'])} documents. See the journal "
            "of the engine."
        )
    return "scores documents"


def compare(window: int | None, expected: Json) -> None:
    """Compare the window with the declared one. Raises ``Failure``."""
    if window != expected["context"]:
        raise Failure(
            f"has a window of {window}, but the fleet file has context {expected['context']}, "
            f"which gateways and clients use. Set context: {window}, or remove the option that "
            "changes it."
        )


def measure(cache: tuple[int, float] | None, expected: Json) -> str:
    """Return a line on the KV cache. Raises ``Failure`` if it is too small for the concurrency."""
    context, declared = expected["context"], expected["concurrency"]
    if cache is None:
        if declared:
            raise Failure("does not report the size of its KV cache: remove 'concurrency'.")
        return f"serves a window of {context} tokens"
    tokens, windows = cache
    room = f"KV cache of {tokens} tokens, room for {windows:.2f} full windows of {context}"
    if windows < (declared or 1):
        most = int(tokens / (declared or 1))
        raise Failure(
            f"has a {room}, but the fleet file needs {declared or 1} at the same time. Set context "
            f"to {most} or less, kv_cache_dtype: fp8, a higher gpu_memory_utilization, more GPUs, "
            "or a lower concurrency."
        )
    return f"serves, with a {room}"


def call(engine: Engine, body: Json, expected: Json, *, streamed: bool) -> list[str]:
    """Have the model call a tool by its own choice, and return warnings. Raises ``Failure``.

    Only a chosen call uses the parser: a forced one is generated by a grammar.
    """
    mode = "streamed" if streamed else "not streamed"
    for _ in range(TRIES):
        message = engine.message(body, streamed=streamed)
        text = " ".join(block.get("text", "") for block in message["content"]).strip()
        calls = [block for block in message["content"] if block["type"] == "tool_use"]
        if calls:
            check_call(calls[0], message, expected, mode)
            return []
        if UNPARSED.search(text) or (not text and message.get("stop_reason") != "max_tokens"):
            raise Failure(
                f"calls a tool, but the parser '{expected['parser']}' does not recognize the call "
                f"({mode}): the answer is {text[:200]!r}. {ANOTHER}"
            )
    forced = {**body, "tool_choice": {"type": "tool", "name": TOOL["name"]}}
    message = engine.message(forced, streamed=streamed)
    if not any(block["type"] == "tool_use" for block in message["content"]):
        raise Failure(
            f"calls no tool, even if forced to ({mode}): its answer is {text[:200]!r}. If these "
            "weights do not support tools, set 'family: plain'; Claude Code cannot use them."
        )
    return [
        f"warning: answers {TRIES} requests for a tool call with text ({text[:80]!r}), so the "
        f"parser '{expected['parser']}' is not tested: check that the chat template supports tools"
    ]


def check_call(call: Json, message: Json, expected: Json, mode: str) -> None:
    """Check the parsed call. Raises ``Failure``."""
    given = call.get("input")
    if call["name"] != TOOL["name"] or not isinstance(given, dict) or "command" not in given:
        raise Failure(
            f"calls a tool, but the parser '{expected['parser']}' returns {call['name']!r} with "
            f"{given!r} ({mode}). {ANOTHER}"
        )
    if message.get("stop_reason") != "tool_use":
        raise Failure(
            f"calls a tool with stop_reason '{message.get('stop_reason')}' ({mode}): Claude Code "
            "would not run it. Use another release of vLLM."
        )


def check_answer(engine: Engine, body: Json, *, streamed: bool) -> None:
    """Check that a model without tools answers. Raises ``Failure``."""
    if not engine.message(body, streamed=streamed)["content"]:
        raise Failure("returns an empty answer. See the journal of the engine.")


def _late(*_: object) -> None:
    raise Failure(f"has not answered within {PATIENCE} seconds. Check its GPUs and its log.")


def main(url: str, user: str) -> int:
    """Test the engine at a URL, and return the exit status."""
    expected = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(PATIENCE)
    try:
        key = os.environ.get("VLLM_API_KEY", "")
        run_tests(Engine(url, key, pwd.getpwnam(user).pw_uid), expected)
    except Failure as failure:
        print(f"{expected['model']}: {failure}", file=sys.stderr)
        return NEVER
    except (NotReady, OSError, HTTPException):
        return 1  # it is starting, or has ended, which systemd reports
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
