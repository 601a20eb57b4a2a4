"""Does this gateway serve? Asked on its own host, past any front door, before it takes turns.

    probe.py ask            what its models answer now, as JSON: whom a next generation is held to
    probe.py prove [FILE]   all that it must do; FILE is what the generation before it answered

Run in the directory of a generation, with the environment of the service: the master key is in it.
Ends with 0, or with 1 and on standard error what does not work (yet), or with NEVER when turns do
not come through: of all that is asked, they are the last, and waiting will not help.

A gateway is not blamed for an engine that is down: where the generation before it got no answer
either, or where there is none to compare with and the engine is what fails, this is only told.
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
"""Seconds that an engine may take to answer one word."""

PAUSE = 2
"""Seconds from one try to the next."""

COUNTING = 10
"""Seconds in which every worker is heard at least once."""

REFUSED = {400, 401, 403, 404, 405, 413, 422}
"""What a gateway says that is wrong itself; with other codes it is mostly the engine that fails."""

TOOL = {
    "name": "note",
    "description": "Write a note.",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}},
}

SAMPLE = Path(__file__).read_text(encoding="utf-8")[:3000]
"""Words and code: by the count of its tokens, a gateway learns how long an Ollama's prompts are."""

Outcomes = dict[str, int]
"""Of each question about a model, the status of the answer; 0 is none, or not what it should be."""


def main(job: str, before: str = "") -> int:
    wanted = json.loads(Path("probe.json").read_text(encoding="utf-8"))
    user = pwd.getpwnam(wanted["user"]).pw_uid
    gateway = Gateway(wanted["url"], os.environ["LITELLM_MASTER_KEY"], user)
    if job == "ask":
        print(json.dumps(outcomes(gateway, wanted["turns"])))
        return 0
    for fault in faults(gateway, wanted):
        print(f"the gateway {fault}", file=sys.stderr)
        return 1
    end = time.monotonic() + wanted["patience"]
    while True:
        missed, doubts = judged(outcomes(gateway, wanted["turns"]), _read(before))
        if not missed or time.monotonic() > end:
            break
        time.sleep(PAUSE)
    for line in (*missed, *doubts):
        print(line, file=sys.stderr)
    return NEVER if missed else 0


class Gateway:
    """A gateway at a URL, asked with the master key and through no proxy.

    It runs as ``user``: whatever listens there as another user never gets the key.
    """

    def __init__(self, url: str, key: str, user: int) -> None:
        self.address = urlsplit(url)
        self.user = user
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        where = self.address.hostname or "", self.address.port
        return http.client.HTTPConnection(*where, timeout=timeout)

    def ask(self, path: str, body: Any = None, timeout: float = 10) -> tuple[int, bytes]:
        """Return status and content; 0 where there is no answer."""
        owners = listeners(self.address.port or 80)
        if owners != {self.user}:
            return 0, b"another process has its port" if owners else b"nothing listens on its port"
        connection = self.connect(timeout)
        try:
            text = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, text, self.headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
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


def faults(gateway: Gateway, wanted: dict[str, Any]) -> Iterator[str]:
    """Yield what keeps a gateway from being asked for turns."""
    for path in ("/health/liveliness", "/health/readiness"):
        status, said = gateway.ask(path)
        if status != 200 and b'"held"' not in said:
            yield f"says {status or said.decode()} at {path}"
    heard = workers(gateway, wanted["workers"])
    if heard < wanted["workers"]:
        yield f"has {heard} workers that answer, and should have {wanted['workers']}"
    missing = sorted(set(wanted["names"]) - names(gateway))
    if missing:
        yield f"does not know the models {', '.join(missing)}"


def judged(found: Outcomes, before: Outcomes) -> tuple[list[str], list[str]]:
    """Return what the gateway is to blame for, and what it is not."""
    missed, doubts = [], []
    for what, status in found.items():
        known = before.get(what)
        if status == 200:
            continue
        if (known == 200 and status != 429) or (known is None and status in REFUSED):
            missed.append(
                f"the gateway gives no answer to {what}: {status or 'nothing usable'}"
                f"{', which it did before the change' if known else ''}. "
                "See to the url, id, api_key and other settings of the model."
            )
        else:
            also = "nor did it before" if known is not None else "is its engine down?"
            doubts.append(f"no answer to {what}: {status or 'nothing usable'}; {also}")
    return missed, doubts


def workers(gateway: Gateway, wanted: int) -> int:
    """Return how many processes answer, at most as many as are wanted.

    Connections are opened several at a time, so that one worker cannot take them all, and kept
    until the kernel has told who holds the other end.
    """
    heard: set[str] = set()
    end = time.monotonic() + COUNTING
    while len(heard) < wanted and time.monotonic() < end:
        with ExitStack() as stack, ThreadPoolExecutor(4 * wanted) as pool:
            ours = set(pool.map(lambda _: _greet(gateway, stack), range(4 * wanted)))
            heard |= {pid for port, pid in _holders(gateway.address.port or 80) if port in ours}
    return len(heard)


def _greet(gateway: Gateway, stack: ExitStack) -> int:
    """Have a new connection answered, leave it open, and return the port of our end."""
    connection = gateway.connect(timeout=5)
    stack.callback(connection.close)
    try:
        connection.request("GET", "/health/liveliness")
        port: int = connection.sock.getsockname()[1]
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return 0
    return port


def _holders(port: int) -> Iterator[tuple[int, str]]:
    """Yield the other end's port and the process of each connection to a port of this host."""
    listing = subprocess.run(
        ["ss", "-Htnp", f"sport = :{port}"], check=True, capture_output=True, text=True
    )
    for line in listing.stdout.splitlines():
        if found := re.search(r":(\d+)\s+users:\(\(\"[^\"]*\",pid=(\d+)", line):
            yield int(found[1]), found[2]


def names(gateway: Gateway) -> set[str]:
    """Return the names that a gateway says it routes."""
    status, said = gateway.ask("/v1/models")
    return {each["id"] for each in json.loads(said)["data"]} if status == 200 else set()


def outcomes(gateway: Gateway, models: list[str]) -> Outcomes:
    """Ask each model for a short turn, as a whole and as a stream, and for a count of tokens."""
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
    status, said = gateway.ask(path, body, TURN)
    return status if status != 200 or proof in said else 0


def _read(before: str) -> Outcomes:
    """Return what the generation before answered; nothing, where there was none to ask."""
    try:
        found: Outcomes = json.loads(Path(before).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
