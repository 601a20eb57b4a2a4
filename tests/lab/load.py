"""A steady load of turns through the load balancer, and the engine that answers them.

The engine is a stand-in: it sends a fixed text, word by word, and needs almost no CPU. Everything
else is real. Every turn has its own connection, as with many developers, and a prompt of 60 kB.
Three of four turns of a session are streamed.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WORDS = [f"word-{number} " for number in range(12)]

PACE = 0.35
"""Seconds between two words."""

SESSIONS = 12

PROMPT = "All work and no play makes Jack a dull boy. " * 1400


@dataclass(frozen=True)
class Turn:
    """A turn. ``fault`` is "" for a complete answer; ``first`` is the time to its first byte.

    ``began`` is a monotonic time; ``first`` and ``seconds`` are in seconds.
    """

    session: int
    began: float
    first: float
    seconds: float
    fault: str


@dataclass
class Load:
    """The turns of a load."""

    turns: list[Turn] = field(default_factory=list)

    @property
    def lost(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.fault]

    def summary(self) -> str:
        """Return the number of turns, the lost ones and the times to first byte, as one line."""
        firsts = sorted(turn.first for turn in self.turns if not turn.fault)
        faults = ", ".join(f"session {turn.session}: {turn.fault}" for turn in self.lost)
        return (
            f"{len(self.turns)} turns, {len(self.lost)} lost"
            f"{f' ({faults})' if faults else ''}; first byte p50 {firsts[len(firsts) // 2]:.2f} s, "
            f"worst {firsts[-1]:.2f} s"
        )


@contextmanager
def engine(address: str, port: int) -> Iterator[None]:
    """Serve /v1/messages as an engine while the block runs."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the gateway closed the connection
        finally:
            writer.close()

    async def serve(stop: asyncio.Event) -> None:
        async with await asyncio.start_server(answer, address, port):
            await stop.wait()

    with _running(serve):
        yield


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    path, body = await _request(reader)
    if "count_tokens" in path:
        writer.write(_whole({"input_tokens": 7}))
    elif not body.get("stream"):
        await asyncio.sleep(PACE * len(WORDS) / 2)
        writer.write(_whole(_message("".join(WORDS))))
    else:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        for event in _events():
            writer.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            await writer.drain()
            if event["type"] == "content_block_delta":
                await asyncio.sleep(PACE)
    await writer.drain()


async def _request(reader: asyncio.StreamReader) -> tuple[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    sizes = [int(line[15:]) for line in lines if line.lower().startswith("content-length:")]
    body = await reader.readexactly(sizes[0]) if sizes else b"{}"
    return lines[0].split()[1], json.loads(body)


def _whole(content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body


def _message(text: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "steady",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "end_turn" if text else None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }


def _events() -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": _message("")}
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for word in WORDS:
        delta = {"type": "text_delta", "text": word}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": len(WORDS)}}
    yield {"type": "message_stop"}


@contextmanager
def steady(address: str, port: int, key: str, model: str, trust: str) -> Iterator[Load]:
    """Send turns while the block runs, and wait for the last ones after it.

    ``trust`` is the file with the certificate of the load balancer.
    """
    load = Load()
    tls = ssl.create_default_context(cafile=trust)

    async def session(number: int, stop: asyncio.Event) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            body = {
                "model": model,
                "max_tokens": 64,
                "stream": count % 4 != 0,
                "messages": [{"role": "user", "content": PROMPT}],
            }
            began = time.monotonic()
            first, fault = await _turn(address, port, tls, key, number, body)
            load.turns.append(Turn(number, began, first, time.monotonic() - began, fault))
            await asyncio.sleep(0.1)

    async def ask(stop: asyncio.Event) -> None:
        await asyncio.gather(*(session(number, stop) for number in range(SESSIONS)))

    with _running(ask):
        yield load


async def _turn(
    address: str, port: int, tls: ssl.SSLContext, key: str, session: int, body: dict[str, Any]
) -> tuple[float, str]:
    """Return the seconds until the first byte, and the fault of the answer, or ""."""
    began = time.monotonic()
    content = json.dumps(body).encode()
    head = (
        f"POST /v1/messages?beta=true HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n"
        f"Authorization: Bearer {key}\r\nX-Claude-Code-Session-Id: session-{session}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    reply, first = b"", 0.0
    try:
        async with asyncio.timeout(120):
            reader, writer = await asyncio.open_connection(address, port, ssl=tls)
            writer.write(head.encode() + content)
            await writer.drain()
            while part := await reader.read(65536):
                first = first or time.monotonic() - began
                reply += part
            writer.close()
    except (OSError, TimeoutError) as error:
        return first, f"{type(error).__name__} after {len(reply)} bytes"
    return first, _fault(reply, body["stream"])


def _fault(reply: bytes, streamed: bool) -> str:
    status = reply.split(b"\r\n", 1)[0].decode()
    if " 200 " not in status:
        return f"{status or 'no answer'}: {reply[-200:]!r}"
    positions = [reply.find(word.strip().encode()) for word in WORDS]
    if -1 in positions or (streamed and b"message_stop" not in reply):
        return f"cut after {len(reply)} bytes"
    return ""


@contextmanager
def _running(work: Any) -> Iterator[None]:
    """Run a coroutine in another thread; when the block ends, stop it and wait for its end."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(work(stop),))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
