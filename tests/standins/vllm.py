"""A stand-in for vLLM's HTTP API, with the faults of broken engines.

Its errors are those of vLLM 0.32.0 (vllm/entrypoints/anthropic), which tests/lab runs. The lab uses
the real vLLM.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Json = dict[str, Any]

CALL = [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "echo ready"}}]

THOUGHT = {"type": "thinking", "thinking": "A note.", "signature": "c2lnbmF0dXJl"}

METRICS = """\
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{{block_size="{block}",enable_prefix_caching="{caches}",engine="0",\
kv_cache_max_concurrency="{windows}",kv_cache_size_tokens="{tokens}"}} 1.0
vllm:prefix_cache_queries_total{{engine="0",model_name="tiny"}} {queries}.0
vllm:prefix_cache_hits_total{{engine="0",model_name="tiny"}} {hits}.0
"""

BLOCK = 16


class Raised(Exception):
    """An exception in the chat template, which vLLM answers with 400 and its text."""


def says(text: str) -> list[Json]:
    return [{"type": "text", "text": text}]


@dataclass
class Engine:
    """The answers of an engine, ``forced`` to a forced tool call, and the requests (``asked``).

    ``streamed``: the content of streams, if it differs. ``raises``: a type of block, a role or a
    level of effort on which the chat template raises. ``drops_references``: the template writes
    none. ``vision``: it reads images. ``thinks``: answers begin with thinking; ``aloud``: in their
    text. ``obeys``: thinking can be turned off. ``caches``: its prefix cache is on; ``hits``: it is
    hit. ``details``: it reports cached tokens in ``usage`` (--enable-prompt-tokens-details);
    ``reports``: in metrics. ``written``: the tokens of its answers. ``others``: tokens of other
    requests that come with each one.
    """

    window: int = 131072
    tokens: int = 262144
    content: list[Json] = field(default_factory=lambda: CALL)
    forced: list[Json] = field(default_factory=lambda: CALL)
    streamed: list[Json] | None = None
    stop: str = "tool_use"
    status: int = 200
    cut: bool = False
    raises: str = ""
    drops_references: bool = False
    vision: bool = False
    thinks: bool = False
    aloud: bool = False
    obeys: bool = True
    caches: bool = True
    hits: bool = True
    details: bool = False
    reports: bool = True
    block: int = BLOCK
    written: int = 1
    others: int = 0
    asked: list[Json] = field(default_factory=list)
    known: set[int] = field(default_factory=set)
    counts: Json = field(default_factory=lambda: {"queries": 0, "hits": 0})

    def get(self, path: str) -> tuple[int, str]:
        if path == "/metrics":
            if not self.reports:
                return 404, '{"detail":"Not Found"}'
            numbers = {"tokens": self.tokens, "windows": self.tokens / self.window, **self.counts}
            return self.status, METRICS.format(caches=self.caches, block=self.block, **numbers)
        return self.status, json.dumps({"data": [{"id": "tiny", "max_model_len": self.window}]})

    def post(self, path: str, body: Json) -> tuple[int, str]:
        if path.endswith("/count_tokens"):
            return self.status, json.dumps({"input_tokens": len(self.prompt(body)) // 4})
        self.asked.append(body)
        try:
            return self.status, self.message(body, self.prompt(body))
        except Raised as error:
            return 400, json.dumps(
                {"type": "error", "error": {"type": "BadRequestError", "message": str(error)}}
            )

    def prompt(self, body: Json) -> str:
        """Return the text that the chat template makes of a request. Raises ``Raised``."""
        words = [json.dumps(body.get("system")), json.dumps(body.get("tools"))]
        if self.raises and body.get("output_config", {}).get("effort") == self.raises:
            raise Raised("Unexpected reasoning effort.")
        for message in body["messages"]:
            if message["role"] == self.raises:
                raise Raised("System message must be at the beginning.")
            words.append(message["role"])
            words += [self.block_text(block) for block in _blocks(message["content"])]
        return "\n".join(words)

    def block_text(self, block: Json) -> str:
        if block["type"] == self.raises:
            raise Raised("Unexpected item type in content.")
        if block["type"] == "image" and not self.vision:
            raise Raised("tiny is not a multimodal model")
        if block["type"] == "tool_reference" and self.drops_references:
            return ""
        return json.dumps(block)

    def message(self, body: Json, prompt: str) -> str:
        content = self.forced if "tool_choice" in body else self.content
        if body["stream"] and self.streamed is not None:
            content = self.streamed
        arguments = body.get("chat_template_kwargs") or {}
        is_disabled = body.get("thinking", {}).get("type") == "disabled"
        is_off = self.obeys and (is_disabled or arguments.get("enable_thinking") is False)
        if self.thinks and not is_off:
            content = [*(says("<think>A note.") if self.aloud else [THOUGHT]), *content]
        usage = self.usage(prompt)
        if not body["stream"]:
            whole = {"type": "message", "content": content, "stop_reason": self.stop}
            return json.dumps({**whole, "usage": usage})
        events: list[Json] = [{"type": "message_start", "message": {"usage": usage}}]
        events += [event for block in content for event in _events(block)]
        stop = {"type": "message_delta", "delta": {"stop_reason": self.stop}, "usage": usage}
        events += [stop] if self.cut else [stop, {"type": "message_stop"}]
        return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)

    def usage(self, prompt: str) -> Json:
        """Return the usage of a request, and count it. The cache keeps whole blocks."""
        total = len(prompt) // 4
        hits = self.cached(prompt) if self.caches and self.hits else 0
        self.known.update(_prefixes(prompt))
        self.counts["queries"] += total + self.others
        self.counts["hits"] += hits
        if not self.details:
            return {"input_tokens": total, "output_tokens": self.written}
        cached = {"cache_read_input_tokens": hits}
        return {"input_tokens": total - hits, **cached, "output_tokens": self.written}

    def cached(self, prompt: str) -> int:
        """Return the tokens of a prompt in the cache: whole blocks, and never the last token."""
        hits = 0
        for prefix in _prefixes(prompt[:-1]):
            if prefix not in self.known:
                break
            hits += BLOCK
        return hits


def _prefixes(prompt: str) -> Iterator[int]:
    """Yield a hash for each block of a prompt: of the block and all before it, as vLLM does."""
    before = 0
    for end in range(4 * BLOCK, len(prompt) + 1, 4 * BLOCK):
        before = hash((before, prompt[end - 4 * BLOCK : end]))
        yield before


def _blocks(content: Any) -> Iterator[Json]:
    """Yield the blocks of a message, and those in tool results."""
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if block["type"] == "tool_result" and isinstance(block["content"], list):
            yield from _blocks(block["content"])
        else:
            yield block


def _events(block: Json) -> list[Json]:
    key = {"tool_use": "partial_json"}.get(block["type"], block["type"])
    kind = {"tool_use": "input_json_delta"}.get(block["type"], f"{block['type']}_delta")
    is_call = block["type"] == "tool_use"
    content = json.dumps(block["input"]) if is_call else block[block["type"]]
    start = {**block, "input": {}} if is_call else {**block, block["type"]: ""}
    middle = len(content) // 2
    halves = (content[:middle], content[middle:])
    return [
        {"type": "content_block_start", "content_block": start},
        *({"type": "content_block_delta", "delta": {"type": kind, key: half}} for half in halves),
        {"type": "content_block_stop"},
    ]


@contextmanager
def served(engine: Engine) -> Iterator[str]:
    """Serve on a free port of loopback, and yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*engine.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(*engine.post(self.path, json.loads(body)))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
