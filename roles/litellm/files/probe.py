"""Test on its own host, without the load balancer, whether this gateway serves.

    probe.py ask            print the outcomes of test turns as JSON, for the next generation
    probe.py prove [FILE]   run all checks; FILE holds the outcomes of the previous generation

Run in the directory of a generation, with the environment of the service, which holds the master
key. Exits with 0, or with 1 and the faults on standard error if the gateway does not serve yet.
Test turns come last: if they fail, waiting does not help, and the program exits with NEVER.

A stopped engine is not a fault of the gateway. It is a warning if the turn failed with the previous
generation as well, or if there is no previous outcome and the status shows a fault of the engine.
"""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

NEVER = 78

TURN = 120
"""Maximum seconds for an engine's answer of one word."""

PAUSE = 2
"""Seconds between two attempts."""

COUNTING = 10
"""Maximum seconds until every worker has answered once."""

REFUSED = {400, 401, 403, 404, 405, 413, 422}
"""Statuses that show a fault of the gateway; with others, the engine is more likely at fault."""

TOOL = {
    "name": "note",
    "description": "Write a note.",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
}

SAMPLE = Path(__file__).read_text(encoding="utf-8")[:3000]
"""Text and code, from which the gateway learns the tokens per byte of an Ollama model."""

Outcomes = dict[str, int]
"""The HTTP status of each test request; 0 without a response, or for one without its content.

The names of the requests are a file format: an older generation writes them too."""


def main(job: str, before: str = "") -> int:
    """Run a job, and return the exit status."""
    expected = json.loads(Path("probe.json").read_text(encoding="utf-8"))
    user = pwd.getpwnam(expected["user"]).pw_uid
    gateway = Gateway(expected["url"], os.environ["LITELLM_MASTER_KEY"], user)
    if job == "ask":
        print(json.dumps(outcomes(gateway, expected["turns"])))
        return 0
    for fault in faults(gateway, expected):
        print(f"the gateway {fault}", file=sys.stderr)
        return 1
    end = time.monotonic() + expected["patience"]
    while True:
        errors, warnings = compared(outcomes(gateway, expected["turns"]), _read(before))
        if not errors or time.monotonic() > end:
            break
        time.sleep(PAUSE)
    for line in (*errors, *warnings):
        print(line, file=sys.stderr)
    return NEVER if errors else 0


class Gateway:
    """Requests to a gateway at a URL, with the master key and without a proxy.

    The gateway runs as ``user``. The key is sent to no other user's process.
    """

    def __init__(self, url: str, key: str, user: int) -> None:
        self.address = urlsplit(url)
        self.user = user
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection to the gateway, which opens with its first request."""
        host, port = self.address.hostname or "", self.address.port
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def request(self, path: str, body: Any = None, timeout: float = 10) -> tuple[int, bytes]:
        """Return status and content of a response; without one, 0 and the reason."""
        owners = listeners(self.address.port or 80)
        if owners != {self.user}:
            return 0, b"another process uses its port" if owners else b"nothing listens on its port"
        connection = self.connect(timeout)
        try:
            text = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, text, self.headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error).encode()
        finally:
            connection.close()


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


def faults(gateway: Gateway, expected: dict[str, Any]) -> Iterator[str]:
    """Yield why a gateway cannot serve turns yet."""
    for path in ("/health/liveliness", "/health/readiness"):
        status, content = gateway.request(path)
        if status != 200 and b'"draining"' not in content:
            yield f"answers {status or content.decode()} at {path}"
    count = workers(gateway, expected["workers"])
    if count < expected["workers"]:
        yield f"has {count} workers that answer, of {expected['workers']}"
    missing = sorted(set(expected["names"]) - names(gateway))
    if missing:
        yield f"does not list the models {', '.join(missing)}"


def compared(found: Outcomes, before: Outcomes) -> tuple[list[str], list[str]]:
    """Return the errors, which are faults of the gateway, and the warnings."""
    errors, warnings = [], []
    for request, status in found.items():
        known = before.get(request)
        if status == 200:
            continue
        result = status or "no usable response"
        if (known == 200 and status != 429) or (known is None and status in REFUSED):
            errors.append(
                f"{request} fails: {result}"
                f"{', but succeeded before the change' if known else ''}. "
                "Check the url, id, api_key and other settings of the model."
            )
        else:
            also = "it failed before as well" if known is not None else "is its engine down?"
            warnings.append(f"warning: {request} fails: {result}; {also}")
    return errors, warnings


def workers(gateway: Gateway, expected: int) -> int:
    """Return the number of processes that answer, at most ``expected``.

    Opens several connections at a time, so that one worker cannot accept them all, and keeps them
    until the kernel has reported the process at the other end of each.
    """
    found: set[str] = set()
    end = time.monotonic() + COUNTING
    while len(found) < expected and time.monotonic() < end:
        with ExitStack() as stack, ThreadPoolExecutor(4 * expected) as pool:
            local = set(pool.map(lambda _: _open(gateway, stack), range(4 * expected)))
            found |= {pid for port, pid in _peers(gateway.address.port or 80) if port in local}
    return len(found)


def _open(gateway: Gateway, stack: ExitStack) -> int:
    """Send a request on a new connection, leave it open, and return its local port."""
    connection = gateway.connect(timeout=5)
    stack.callback(connection.close)
    try:
        connection.request("GET", "/health/liveliness")
        port: int = connection.sock.getsockname()[1]
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return 0
    return port


def _peers(port: int) -> Iterator[tuple[int, str]]:
    """Yield the client's port and the server's process ID of each connection to a local port."""
    listing = subprocess.run(
        ["ss", "-Htnp", f"sport = :{port}"], check=True, capture_output=True, text=True
    )
    for line in listing.stdout.splitlines():
        if found := re.search(r":(\d+)\s+users:\(\(\"[^\"]*\",pid=(\d+)", line):
            yield int(found[1]), found[2]


def names(gateway: Gateway) -> set[str]:
    """Return the names of the models that a gateway lists."""
    status, content = gateway.request("/v1/models")
    return {model["id"] for model in json.loads(content)["data"]} if status == 200 else set()


def outcomes(gateway: Gateway, models: list[str]) -> Outcomes:
    """Send each model a short turn, a streamed turn, and a token count; return the outcomes."""
    found = {}
    for model in models:
        turn = {
            "model": model,
            "max_tokens": 16,
            "messages": [{"role": "user", "content": f"What is this?\n\n{SAMPLE}"}],
            "tools": [TOOL],
        }
        found[f"a turn of '{model}'"] = _outcome(gateway, "/v1/messages", turn, b'"content"')
        found[f"a streamed turn of '{model}'"] = _outcome(
            gateway, "/v1/messages", {**turn, "stream": True}, b"message_stop"
        )
        del turn["max_tokens"]
        found[f"a count of tokens of '{model}'"] = _outcome(
            gateway, "/v1/messages/count_tokens", turn, b'"input_tokens"'
        )
    return found


def _outcome(gateway: Gateway, path: str, body: Any, proof: bytes) -> int:
    status, content = gateway.request(path, body, TURN)
    return status if status != 200 or proof in content else 0


def _read(before: str) -> Outcomes:
    """Return the outcomes of the previous generation; none if it did not answer."""
    try:
        found: Outcomes = json.loads(Path(before).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
