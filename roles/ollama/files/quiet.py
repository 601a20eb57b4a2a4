"""Wait until an Ollama answers no turn, because its restart cuts those in flight.

Runs on the host, as root, with the distribution's python3 and its standard library only:

    quiet.py PORT UNIT SECONDS

Prints what it waits for. Always exits with 0: after SECONDS, the restart comes anyway.

Ollama does not report its turns: /api/ps shows loaded models only, and a gateway keeps connections
open between turns. A turn is in flight if one of these is true:

- a connection to PORT received a request after the last byte of an answer: the turn waits, a model
  is loaded, or the prompt is read;
- a slot of a llama-server of UNIT is busy: it generates, even if nothing is sent meanwhile, as
  during a long tool call.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import Any
from urllib.request import ProxyHandler, build_opener

INTERVAL = 1
"""Seconds between two looks."""

STILL = 2
"""Looks in a row without a turn after which the server counts as quiet."""

REPEAT = 30
"""Seconds between two lines on the terminal."""

RECENT = 10_000
"""Milliseconds for which a connection counts as answered, if its llama-server reports no slots."""

# Without a proxy: the server is on this host.
_open = build_opener(ProxyHandler({})).open


def main(port: str, unit: str, seconds: int) -> int:
    """Wait for quiet, up to a number of seconds."""
    end = time.monotonic() + seconds
    reported, still = -float(REPEAT), 0
    while still < STILL:
        count = turns(port, unit)
        still = 0 if count else still + 1
        left = end - time.monotonic()
        if left <= 0:
            if count:
                print(f"{unit}: restarts after {seconds} s, which cuts {_turns(count)}", flush=True)
            return 0
        if count and time.monotonic() - reported >= REPEAT:
            print(f"{unit}: waits for {_turns(count)}, at most {left:.0f} s", flush=True)
            reported = time.monotonic()
        if still < STILL:
            time.sleep(min(INTERVAL, left))
    return 0


def _turns(count: int) -> str:
    return f"{count} turn{'' if count == 1 else 's'} in flight"


def turns(port: str, unit: str) -> int:
    """Return the number of turns in flight, as far as they can be seen."""
    busy, is_complete = slots(unit)
    return max(waiting(port, recent=0 if is_complete else RECENT), busy)


def waiting(port: str, recent: int) -> int:
    """Return the connections whose last request has no answer yet, or one within ``recent`` ms."""
    count = 0
    for line in run("ss", "-HtniO", "state", "established", f"sport = :{port}").splitlines():
        received, sent = number("lastrcv", line), number("lastsnd", line)
        if not number("bytes_received", line) or received is None or sent is None:
            continue  # without a request
        # Without an answer yet, the times are those of the connection and may be equal.
        if not number("bytes_sent", line) or received < sent or sent < recent:
            count += 1
    return count


def number(name: str, line: str) -> int | None:
    """Return a number that ss prints as NAME:NUMBER."""
    found = re.search(rf"\b{name}:(\d+)", line)
    return int(found[1]) if found else None


def slots(unit: str) -> tuple[int, bool]:
    """Return the busy slots of the unit's llama-servers, and whether all of them reported.

    Without any llama-server, that is false.
    """
    ports = runners(unit)
    busy, is_complete = 0, bool(ports)
    for port in ports:
        try:
            with _open(f"http://127.0.0.1:{port}/slots", timeout=5) as response:
                found: list[dict[str, Any]] = json.load(response)
            busy += sum(bool(slot["is_processing"]) for slot in found)
        except (OSError, ValueError, KeyError, TypeError):
            is_complete = False
    return busy, is_complete


def runners(unit: str) -> set[str]:
    """Return the ports on the loopback address that processes of the unit listen on."""
    try:
        with open(f"/sys/fs/cgroup/system.slice/{unit}/cgroup.procs", encoding="ascii") as file:  # noqa: PTH123
            pids = set(file.read().split())
    except OSError:
        return set()
    found = set()
    for line in run("ss", "-Hltnp", "src", "127.0.0.1").splitlines():
        if "llama-server" in line and pids & set(re.findall(r"pid=(\d+)", line)):
            found.add(line.split()[3].rpartition(":")[2])
    return found


def run(*command: str) -> str:
    """Return the output of a command, empty if it does not exist or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
