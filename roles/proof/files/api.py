"""Requests to an engine over /v1/messages, as Claude Code sends them: whole and streamed.

A part of the proof, which runs on hosts with the standard library only: see session.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

Json = dict[str, Any]

VERSION = {"anthropic-version": "2023-06-01"}

LENGTH = 240
"""Maximum length of an engine's own words in a message, in characters."""

CUT = "the stream ends before its last event"


class Refused(Exception):
    """The engine answers with an error; ``status`` is 200 for an error inside a stream."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class NotReady(Exception):
    """The engine may still start, or be busy."""


class NoRedirect(HTTPRedirectHandler):
    """Follow no redirect: it would take the key to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Api:
    """The API of an engine at ``url``; ``model`` is the engine's name of the model.

    ``seconds`` is the timeout of a request in seconds. ``proxies``: use those of the environment,
    for an engine that is not on this host.
    """

    def __init__(
        self,
        url: str,
        model: str,
        headers: Mapping[str, str],
        seconds: float,
        *,
        proxies: bool = False,
    ) -> None:
        self.url = url
        self.model = model
        self.headers = {"Content-Type": "application/json", **VERSION, **headers}
        self.seconds = seconds
        handlers = [NoRedirect(), *([] if proxies else [ProxyHandler({})])]
        self._open = build_opener(*handlers).open

    def check(self) -> None:
        """Raise ``NotReady`` unless the key may be sent. A subclass checks whose port it is."""

    @contextmanager
    def request(self, path: str, body: Json | None = None, seconds: float = 0) -> Iterator[Any]:
        """Yield the response. Raises ``Refused``, or ``NotReady`` for 503."""
        self.check()
        data = None if body is None else json.dumps(body).encode()
        try:
            request = Request(self.url + path, data, self.headers)
            with self._open(request, timeout=seconds or self.seconds) as response:
                yield response
        except HTTPError as error:
            text = error.read().decode(errors="replace").strip()
            if error.code == 503:
                raise NotReady(reason(text)) from None
            raise Refused(error.code, reason(text)) from None

    def message(self, body: Json, *, streamed: bool, seconds: float = 0) -> Json:
        """Return the answer; a stream is assembled. Raises ``Refused``."""
        full = {"model": self.model, **body, "stream": streamed}
        with self.request("/v1/messages", full, seconds) as response:
            answer: Json = assembled(response) if streamed else json.load(response)
        answer["content"] = answer.get("content") or []  # Ollama: null for an empty answer
        return answer

    def count(self, body: Json) -> int | None:
        """Return the number of tokens of a request; ``None`` if the engine does not count."""
        try:
            with self.request("/v1/messages/count_tokens", {"model": self.model, **body}) as found:
                return int(json.load(found)["input_tokens"])
        except (Refused, ValueError, KeyError, TypeError, OverflowError):
            return None

    def metrics(self) -> str:
        """Return the engine's own metrics for Prometheus; "" if it has none."""
        try:
            with self.request("/metrics") as response:
                return str(response.read().decode(errors="replace"))
        except Refused:
            return ""


def assembled(stream: Any) -> Json:
    """Return the message of a stream of events, as a client assembles it.

    Raises ``Refused`` for an error in the stream, and for a stream that ends too early.
    """
    blocks: list[Json] = []
    message: Json = {"usage": {}}
    kind = ""
    for line in stream:
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line[5:])
        kind = event["type"]
        if kind == "error":
            raise Refused(200, reason(json.dumps(event)))
        if kind == "message_start":
            message["usage"].update(event["message"].get("usage") or {})
        elif kind == "content_block_start":
            blocks.append({**event["content_block"], "partial": ""})
        elif kind == "content_block_delta":
            delta = event["delta"]
            parts = (delta.get(key) for key in ("text", "partial_json", "thinking"))
            blocks[-1]["partial"] += next((part for part in parts if part), "")
        elif kind == "message_delta":
            message.update(event["delta"])
            # The count of message_start may be an estimate: this one is final.
            message["usage"].update(event.get("usage") or {})
    if kind != "message_stop":
        raise Refused(200, CUT)
    for block in blocks:
        content = block.pop("partial")
        if block["type"] == "tool_use":
            block["input"] = _object(content)
        elif block["type"] in ("text", "thinking"):
            block[block["type"]] = content
    return {**message, "content": blocks}


def _object(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def reason(text: str) -> str:
    """Return the message of an error, in Anthropic's, OpenAI's or Ollama's form, on one line."""
    try:
        error = json.loads(text)["error"]
        text = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        pass
    text = printable(" ".join(text.split()))
    return text if len(text) <= LENGTH else "…" + text[-LENGTH:]


def printable(text: str) -> str:
    """Return a text without what controls a terminal: an engine could hide a failure with it."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def tokens(answer: Json) -> tuple[int, int | None]:
    """Return the tokens of an answer's prompt, and how many of them the prefix cache had.

    ``None``: the engine does not report the cache. ``input_tokens`` does not contain cached ones.
    """
    usage = answer.get("usage") or {}
    cached = usage.get("cache_read_input_tokens")
    total = usage.get("input_tokens") or 0
    total += (cached or 0) + (usage.get("cache_creation_input_tokens") or 0)
    return total, cached


def counter(metrics: str, name: str) -> float | None:
    """Return a counter by its pattern, added up over all replicas; ``None`` without it."""
    found = re.findall(rf"^{name}(?:_total)?(?:\{{[^}}]*\}})? ([0-9.e+]+)", metrics, re.MULTILINE)
    return sum(map(float, found)) if found else None


def label(metrics: str, name: str) -> str:
    """Return a label of cache_config_info; "" without it."""
    lines = re.findall(r"^\w+:cache_config_info\{.*", metrics, re.MULTILINE)
    found = [value for line in lines for value in re.findall(rf'[{{,]{name}="([^"]*)"', line)]
    return found[0] if found else ""


def text_of(message: Json) -> str:
    """Return the text of an answer."""
    return " ".join(block.get("text") or "" for block in message["content"]).strip()
