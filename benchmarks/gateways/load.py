"""Load a gateway for some seconds over a number of connections; print the results as JSON.

    PYTHON -m benchmarks.gateways.load <QUESTION.json

Run by the Python of a gateway's environment, which has aiohttp and uvloop. Each connection stays
open and sends the next request as soon as the answer is complete. An incomplete answer counts as
wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
import uvloop

FIRST = (b"content_block_delta", b"text_delta")
"""Texts of the first event with a word of the answer."""


async def ask(question: dict[str, Any]) -> dict[str, Any]:
    """Return the seconds of the load, milliseconds of each answer and first token, and failures."""
    body = json.dumps(question["body"]).encode()
    headers = {**question["headers"], "Content-Type": "application/json"}
    end = question["whole"].encode()
    took: list[float] = []
    first: list[float] = []
    wrong: list[str] = []

    async def one(session: aiohttp.ClientSession) -> None:
        started, token, text = time.perf_counter(), 0.0, bytearray()
        try:
            async with session.post(question["url"], data=body, headers=headers) as response:
                async for part in response.content.iter_any():
                    text += part
                    if not token and any(word in text for word in FIRST):
                        token = time.perf_counter()
        except (aiohttp.ClientError, TimeoutError) as error:
            wrong.append(f"{type(error).__name__}: {error}")
            return
        if response.status != 200 or end not in text:
            wrong.append(f"{response.status}: {bytes(text[-300:])!r}")
            return
        took.append((time.perf_counter() - started) * 1000)
        if token:
            first.append((token - started) * 1000)

    async def connection(session: aiohttp.ClientSession, until: float) -> None:
        while time.perf_counter() < until:
            await one(session)

    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        started = time.perf_counter()
        until = started + question["seconds"]
        await asyncio.gather(*(connection(session, until) for _ in range(question["connections"])))
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "took": took, "first": first, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(ask(json.load(sys.stdin)))))
