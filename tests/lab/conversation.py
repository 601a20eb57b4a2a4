"""A conversation of the real client as a developer, message by message."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.lab import keys

STREAMS = ("--input-format", "stream-json", "--output-format", "stream-json", "--verbose")

Json = dict[str, Any]


class Conversation:
    """A session of the client, with messages as JSON lines."""

    def __init__(self, client: subprocess.Popen[str]) -> None:
        self.client = client

    def send(self, content: str | list[Json]) -> list[Json]:
        """Send a message; return the client's events up to the result."""
        assert self.client.stdin and self.client.stdout
        message = {"type": "user", "message": {"role": "user", "content": content}}
        self.client.stdin.write(json.dumps(message) + "\n")
        self.client.stdin.flush()
        events: list[Json] = []
        for line in self.client.stdout:
            if line.startswith("{"):
                events.append(json.loads(line))
                if events[-1]["type"] == "result":
                    break
        return events


@contextmanager
def conversation(*options: str) -> Iterator[Conversation]:
    """Run a session of the real client as ada on `dev`."""
    words = shlex.join(["claude", "-p", *STREAMS, "--no-session-persistence", *options])
    line = keys.ssh("ada@dev", [words])
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        yield Conversation(client)
        assert client.stdin
        client.stdin.close()


def blocks(events: list[Json], kind: str) -> list[Json]:
    """Return the blocks of a kind in the messages of these events."""
    contents = [event["message"]["content"] for event in events if "message" in event]
    return [
        block
        for content in contents
        if isinstance(content, list)
        for block in content
        if block["type"] == kind
    ]
