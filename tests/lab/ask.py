"""Ask Claude Code something, on the developer's host, as the developer, in front of the user.

    python -m tests.lab.ask

Each gateway is asked in turn: once for an answer, once for a tool call.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import keys
from .hosts import BY_NAME, Host

DEVELOPER = "ada"
PORT = 4000
QUESTION = "What does Mirrorfleet do?"
TASK = "Please leave a note."
NOTE = "mirrorfleet-note.txt"


@dataclass(frozen=True)
class Turn:
    """What happened between a prompt and its end; `calls` are the commands that a tool ran."""

    answer: str
    calls: tuple[str, ...]
    succeeded: bool


def claude(prompt: str, gateway: Host, *, tools: str = "") -> Turn:
    """Run one headless turn of the real client on `dev`, through the gateway given.

    The fleet's settings are those on the host; only the gateway's address is set over them.
    """
    settings = {"env": {"ANTHROPIC_BASE_URL": f"http://{gateway.address}:{PORT}"}}
    command = ["claude", "-p", prompt, "--output-format", "stream-json", "--verbose"]
    command += ["--settings", json.dumps(settings)]
    if tools:
        command += ["--allowedTools", tools]
    return _turn(as_developer(*command))


def as_developer(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on `dev` in the developer's home, as the developer."""
    words = " ".join(map(_quote, command))
    line = keys.ssh(f"{DEVELOPER}@dev", [words])
    return subprocess.run(
        line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
    )


def _quote(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _turn(done: subprocess.CompletedProcess[str]) -> Turn:
    calls: list[str] = []
    answer, succeeded = done.stderr.strip(), False
    for event in _events(done.stdout):
        if event.get("type") == "assistant":
            blocks = event["message"]["content"]
            calls += [block["input"]["command"] for block in blocks if block["type"] == "tool_use"]
        if event.get("type") == "result":
            answer = event.get("result", event.get("subtype", ""))
            succeeded = not event["is_error"]
    return Turn(answer, tuple(calls), succeeded and done.returncode == 0)


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def main() -> int:
    """Show a question, a tool call and their answers through each gateway. 0: all went well."""
    well = True
    for name in ("gw-1", "gw-2"):
        gateway = BY_NAME[name]
        print(f"\n{DEVELOPER}@dev -> LiteLLM on {name} -> vLLM on gpu", flush=True)
        well &= _show(QUESTION, claude(QUESTION, gateway))
        well &= _show(TASK, claude(TASK, gateway, tools="Bash"))
        note = as_developer("cat", NOTE)
        print(f"    {NOTE} on dev: {note.stdout.strip() or note.stderr.strip()}", flush=True)
        well &= note.returncode == 0
        as_developer("rm", "-f", NOTE)
    return 0 if well else 1


def _show(prompt: str, turn: Turn) -> bool:
    print(f"  > {prompt}")
    for call in turn.calls:
        print(f"    [Bash] {call}")
    print(f"    {turn.answer}{'' if turn.succeeded else '   (failed)'}", flush=True)
    return turn.succeeded


if __name__ == "__main__":
    sys.exit(main())
