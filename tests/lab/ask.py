"""Ask Claude Code a question on the developer's host, and print the answers.

    python -m tests.lab.ask

Ask once for an answer, and once for a tool call, with the settings on the host: through the load
balancer with TLS, a gateway and the engine.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import keys

DEVELOPER = "ada"
QUESTION = "What does Mirrorfleet do?"
TASK = "Please leave a note."
NOTE = "mirrorfleet-note.txt"


@dataclass(frozen=True)
class Turn:
    """The result of a prompt; `calls` are the commands that the Bash tool ran."""

    answer: str
    calls: tuple[str, ...]
    succeeded: bool


def claude(prompt: str, *, tools: str = "") -> Turn:
    """Run one headless turn of the real client on `dev`, with the settings on the host."""
    command = ["claude", "-p", prompt, "--output-format", "stream-json", "--verbose"]
    if tools:
        command += ["--allowedTools", tools]
    return _turn(as_developer(*command))


def as_developer(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on `dev` as the developer, in the developer's home directory."""
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
    """Print a question, a task and their answers; return 0 if both succeed."""
    print(
        f"\n{DEVELOPER}@dev -> HAProxy on gw-1 -> LiteLLM on gw-1, gw-2 -> vLLM on gpu", flush=True
    )
    succeeded = _show(QUESTION, claude(QUESTION))
    succeeded &= _show(TASK, claude(TASK, tools="Bash"))
    note = as_developer("cat", NOTE)
    print(f"    {NOTE} on dev: {note.stdout.strip() or note.stderr.strip()}", flush=True)
    as_developer("rm", "-f", NOTE)
    return 0 if succeeded and note.returncode == 0 else 1


def _show(prompt: str, turn: Turn) -> bool:
    print(f"  > {prompt}")
    for call in turn.calls:
        print(f"    [Bash] {call}")
    print(f"    {turn.answer}{'' if turn.succeeded else '   (failed)'}", flush=True)
    return turn.succeeded


if __name__ == "__main__":
    sys.exit(main())
