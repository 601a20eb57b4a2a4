"""Prove that a vLLM serves Claude Code: a tool call, streamed and not, and the declared window.

Runs on the host, as root, with its python3 and nothing but the standard library:

    smoke_test.py URL USER <serves.json

The key comes by the environment, as VLLM_API_KEY, and goes to a process of USER only. Ends with 0
when the engine serves, with 1 while it starts, and with NEVER when waiting will not help.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

NEVER = 78

PATIENCE = 600
"""Seconds for all of it. The first answers of a large model compile kernels."""

TRIES = 3
"""A model may choose to talk; asked again, it may choose otherwise."""

THOUGHT = 4096
"""Tokens for an answer: some models think before they call."""

TOOL = {
    "name": "Bash",
    "description": "Runs a command in a shell and returns what it prints.",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string", "description": "The command to run."}},
        "required": ["command"],
    },
}
"""As Claude Code offers it. Nobody runs what the model calls it with."""

ASKED = "Leave a note with the Bash tool: run the command `echo ready > note.txt`. Call it now."

# What is left of a call that the parser did not understand, in the forms that models write it.
REMAINS = re.compile(
    r"<[^\s>]{0,20}(?:tool|function|invoke|call)"
    r'|\[TOOL_CALLS|"name"\s*:\s*"Bash"|"command"\s*:|functions?\.Bash|Bash\(command'
)

ANOTHER = (
    "Another parser reads its calls: correct 'family', or write 'tool_parser' and "
    "'reasoning_parser'."
)

Json = dict[str, Any]

# The server is on this machine, whatever proxy the machine uses.
_open = build_opener(ProxyHandler({})).open


class Failure(Exception):
    """What is wrong and what to do; the text goes to the person at the terminal."""


class NotYet(Exception):
    """It may still start."""


class Engine:
    """vLLM's API, as far as it is needed here."""

    def __init__(self, url: str, key: str, user: int) -> None:
        self.url = url
        self.user = user
        self.headers = {"Content-Type": "application/json"}
        if key:
            self.headers["Authorization"] = f"Bearer {key}"

    @contextmanager
    def request(self, path: str, body: Json | None = None) -> Iterator[Any]:
        if listeners(urlsplit(self.url).port or 80) != {self.user}:
            raise NotYet
        data = None if body is None else json.dumps(body).encode()
        try:
            with _open(Request(self.url + path, data, self.headers), timeout=PATIENCE) as answer:
                yield answer
        except HTTPError as error:
            if error.code == 503:
                raise NotYet from None
            said = error.read().decode(errors="replace").strip()
            raise Failure(f"{path} is answered {error.code}: {_reason(said)}") from None

    def window(self, model: str) -> int | None:
        """Return the window that the engine says it has. Raises ``NotYet`` without an engine."""
        try:
            with self.request("/v1/models") as answer:
                models = json.load(answer)["data"]
        except (OSError, HTTPException):
            raise NotYet from None
        return next((each.get("max_model_len") for each in models if each["id"] == model), None)

    def cache(self) -> tuple[int, float] | None:
        """Return how many tokens the KV cache holds, and how many full windows that is.

        Of several copies of the model behind one address, all together.
        """
        with self.request("/metrics") as answer:
            copies = re.findall(
                r"^vllm:cache_config_info\{.*", answer.read().decode(), re.MULTILINE
            )
        tokens, windows = (
            [float(value) for copy in copies for value in re.findall(f'{name}="([0-9.]+)"', copy)]
            for name in ("kv_cache_size_tokens", "kv_cache_max_concurrency")
        )
        return (int(sum(tokens)), sum(windows)) if tokens and windows else None

    def message(self, body: Json, *, streamed: bool) -> Json:
        """Return the answer, put together again where it comes in pieces."""
        with self.request("/v1/messages", {**body, "stream": streamed}) as answer:
            return joined(answer) if streamed else json.load(answer)


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


def joined(stream: Any) -> Json:
    """Put a stream of events together, as a client does."""
    blocks: list[Json] = []
    message: Json = {}
    kind = ""
    for line in stream:
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line.removeprefix(b"data:"))
        kind = event["type"]
        if kind == "error":
            raise Failure(f"a stream ends with the error '{_reason(json.dumps(event))}'.")
        if kind == "content_block_start":
            blocks.append({**event["content_block"], "said": ""})
        elif kind == "content_block_delta":
            delta = event["delta"]
            blocks[-1]["said"] += delta.get("text") or delta.get("partial_json") or ""
        elif kind == "message_delta":
            message |= event["delta"]
    if kind != "message_stop":
        raise Failure("a stream ends in the middle.")
    for block in blocks:
        said = block.pop("said")
        if block["type"] == "tool_use":
            block["input"] = _object(said)
        elif block["type"] == "text":
            block["text"] = said
    return {**message, "content": blocks}


def _object(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[-300:]


def prove(engine: Engine, wanted: Json) -> None:
    """Ask the engine for all that it must do. Raises ``Failure`` with what it does not."""
    compare(engine.window(wanted["model"]), wanted)
    told = [measure(engine.cache(), wanted)]
    body = {
        "model": wanted["model"],
        "max_tokens": min(THOUGHT, wanted["context"] // 2),
        "messages": [{"role": "user", "content": ASKED}],
    }
    for streamed in (False, True):
        if wanted["parser"]:
            told += call(engine, {**body, "tools": [TOOL]}, wanted, streamed=streamed)
        else:
            answer(engine, {**body, "max_tokens": 16}, streamed=streamed)
    for line in dict.fromkeys(told):
        print(f"{wanted['model']}: {line}")


def compare(window: int | None, wanted: Json) -> None:
    if window != wanted["context"]:
        raise Failure(
            f"has a window of {window}, and the fleet file says {wanted['context']}: gateways and "
            f"clients would believe in another one. Write context: {window}, or take away the "
            "option that changes it."
        )


def measure(cache: tuple[int, float] | None, wanted: Json) -> str:
    """Judge the room for the windows of requests that are worked on at the same time."""
    context, declared = wanted["context"], wanted["concurrency"]
    if cache is None:
        if declared:
            raise Failure("does not tell how large its KV cache is, so 'concurrency' is not known.")
        return f"serves a window of {context} tokens"
    tokens, windows = cache
    room = f"KV cache of {tokens} tokens, room for {windows:.2f} full windows of {context}"
    if windows < (declared or 1):
        most = int(tokens / (declared or 1))
        raise Failure(
            f"has a {room}, and the fleet file wants {declared or 1} at the same time. Write a "
            f"context of {most} or less, kv_cache_dtype: fp8, a higher gpu_memory_utilization, "
            "more GPUs, or a lower concurrency."
        )
    return f"serves, with a {room}"


def call(engine: Engine, body: Json, wanted: Json, *, streamed: bool) -> list[str]:
    """Have the model call a tool of its own will, which alone goes by the parser.

    A forced call is written by a grammar: it proves that the model can, not that the parser can
    read it. Returns warnings.
    """
    how = "streamed" if streamed else "not streamed"
    for _ in range(TRIES):
        message = engine.message(body, streamed=streamed)
        text = " ".join(each.get("text", "") for each in message["content"]).strip()
        used = [each for each in message["content"] if each["type"] == "tool_use"]
        if used:
            understood(used[0], message, wanted, how)
            return []
        if REMAINS.search(text) or (not text and message.get("stop_reason") != "max_tokens"):
            raise Failure(
                f"calls a tool, and the parser '{wanted['parser']}' does not see it ({how}): "
                f"the answer is {text[:200]!r}. {ANOTHER}"
            )
    forced = {**body, "tool_choice": {"type": "tool", "name": TOOL["name"]}}
    message = engine.message(forced, streamed=streamed)
    if not any(each["type"] == "tool_use" for each in message["content"]):
        raise Failure(
            f"calls no tool, not even when it must ({how}); it says {text[:200]!r}. If these "
            "weights have no tools, write 'family: plain'; Claude Code cannot use them."
        )
    return [
        f"warning: asked {TRIES} times to call a tool, it talks instead ({text[:80]!r}), so the "
        f"parser '{wanted['parser']}' is not proved. Is the chat template one with tools?"
    ]


def understood(used: Json, message: Json, wanted: Json, how: str) -> None:
    """Check what the parser has made of a call."""
    given = used.get("input")
    if used["name"] != TOOL["name"] or not isinstance(given, dict) or "command" not in given:
        raise Failure(
            f"calls a tool, and the parser '{wanted['parser']}' makes of it ({how}) "
            f"{used['name']!r} with {given!r}. {ANOTHER}"
        )
    if message.get("stop_reason") != "tool_use":
        raise Failure(
            f"calls a tool and stops for '{message.get('stop_reason')}' ({how}): Claude Code "
            "would not run it. Use another release of vLLM."
        )


def answer(engine: Engine, body: Json, *, streamed: bool) -> None:
    """Have a model without tools say something."""
    if not engine.message(body, streamed=streamed)["content"]:
        raise Failure("answers with nothing.")


def _late(*_: object) -> None:
    raise Failure(f"has not answered within {PATIENCE} seconds. Look at its GPUs and its log.")


def main(url: str, user: str) -> int:
    wanted = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(PATIENCE)
    try:
        key = os.environ.get("VLLM_API_KEY", "")
        prove(Engine(url, key, pwd.getpwnam(user).pw_uid), wanted)
    except Failure as failure:
        print(f"{wanted['model']}: {failure}", file=sys.stderr)
        return NEVER
    except (NotYet, OSError, HTTPException):
        return 1  # it starts, or has just died: systemd knows
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
