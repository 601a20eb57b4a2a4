"""The HTTP client with which LiteLLM asks the engines of a fleet.

It passes everything through LiteLLM's own client, and mends three things:

- a tool call that Ollama's parser rejects: see mirrorfleet_rejected_calls.py;
- a stream that ends before its last event, as Ollama's does if its runner dies: it fails, so that
  LiteLLM counts it as failed and the client gets an `error` event and asks again;
- an empty answer of Ollama with `content: null`, which clients cannot read.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import httpx
import litellm
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, get_async_httpx_client

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files import mirrorfleet_rejected_calls as rejected_calls
else:
    import mirrorfleet_rejected_calls as rejected_calls

Count = Callable[[str], None]
"""Counts a mend by its kind."""

END = re.compile(
    rb'^(?:event: ?(?:message_stop|error)\b|data: ?\{"type": ?"(?:message_stop|error)")', re.M
)
"""The last event of a stream."""

CARRY = 64
"""Bytes of a chunk that are searched together with the next one: more than ``END`` matches."""

CUT = "The engine ended its answer early"


class EngineClient(AsyncHTTPHandler):  # type: ignore[misc]
    """A client for the deployments of one engine.

    ``mends_calls``: its tool calls can be rejected by its parser.
    """

    def __init__(self, count: Count, mends_calls: bool) -> None:
        # Without the base class: LiteLLM's own client has the connections.
        self.count = count
        self.mends_calls = mends_calls

    def __del__(self) -> None:
        """Close nothing."""

    @property
    def client(self) -> httpx.AsyncClient:
        """LiteLLM's own connections."""
        return _inner().client

    async def post(self, url: str, *arguments: Any, **options: Any) -> httpx.Response:
        """Send a request to an engine. Raises LiteLLM's and httpx's exceptions."""
        response = await self._mended(url, *arguments, **options)
        if not options.get("stream"):
            return self._with_content(response)
        if "content-encoding" not in response.headers:
            response.stream = Whole(response, self.count)
        return response

    async def _mended(self, url: str, *arguments: Any, **options: Any) -> httpx.Response:
        try:
            return await _sent(url, *arguments, **options)
        except httpx.HTTPStatusError as failed:
            rejected = self._rejected(failed)
            if not rejected:
                raise
        request = json.loads(options["data"])
        hinted = json.dumps(rejected_calls.hinted(request, rejected))
        self.count("tool_call")
        try:
            return await _sent(url, *arguments, **{**options, "data": hinted})
        except httpx.HTTPStatusError as failed:
            rejected = self._rejected(failed)
            if not rejected:
                raise
        self.count("tool_call_explained")
        answer = rejected_calls.explanation(request["model"], rejected)
        if options.get("stream"):
            kind, content = "text/event-stream", rejected_calls.events(answer)
        else:
            kind, content = "application/json", json.dumps(answer).encode()
        return httpx.Response(
            200, headers={"content-type": kind}, content=content, request=httpx.Request("POST", url)
        )

    def _rejected(self, failed: httpx.HTTPStatusError) -> str:
        if not self.mends_calls:
            return ""
        return rejected_calls.error(failed.response.status_code, failed.response.content)

    def _with_content(self, response: httpx.Response) -> httpx.Response:
        """Return an answer with a list as its content, and the reason why an empty one ended."""
        if b'"content":null' not in response.content.replace(b" ", b""):
            return response
        answer = response.json()
        if answer.get("type") != "message" or answer.get("content") is not None:
            return response
        answer["content"] = []
        if answer.get("stop_reason") in (None, "stop_sequence"):
            answer["stop_reason"] = "end_turn"
        self.count("null_answer")
        kept = {
            name: value
            for name, value in response.headers.items()
            if name not in ("content-length", "content-encoding", "transfer-encoding")
        }
        content = json.dumps(answer).encode()
        return httpx.Response(200, headers=kept, content=content, request=response.request)


class Whole(httpx.AsyncByteStream):  # type: ignore[misc]
    """The bytes of a stream; raises ``RemoteProtocolError`` if its last event is missing."""

    def __init__(self, response: httpx.Response, count: Count) -> None:
        self.response = response
        self.inner = response.stream
        self.count = count

    async def __aiter__(self) -> AsyncIterator[bytes]:
        carried, is_whole = b"\n", False
        try:
            async for chunk in self.inner:
                if not is_whole:
                    seen = carried + chunk
                    is_whole = END.search(seen) is not None
                    carried = seen[-CARRY:]
                yield chunk
        except httpx.TransportError:
            if not is_whole:
                self.count("cut_stream")
            raise
        if not is_whole:
            self.count("cut_stream")
            raise httpx.RemoteProtocolError(CUT, request=self.response.request)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def _sent(*arguments: Any, **options: Any) -> httpx.Response:
    response: httpx.Response = await _inner().post(*arguments, **options)
    return response


def _inner() -> AsyncHTTPHandler:
    return get_async_httpx_client(llm_provider=litellm.LlmProviders.ANTHROPIC)
