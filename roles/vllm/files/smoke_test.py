"""Prove that vLLM serves Claude Code: its window, its KV cache, tool calls, and a whole session.

A model for embeddings or scores is proved with one request of its own.

Runs on the host, as root, with its python3 and the standard library only:

    smoke_test.py URL USER [ABILITIES RECORD] <serves.json

VLLM_API_KEY in the environment holds the key, which is sent to a process of USER only. With
ABILITIES, a JSON object, the engine must also answer a session (roles/proof); its outcomes are
printed, and written to RECORD. Exits with 0 if the engine serves, with 1 while it starts, and with
NEVER if waiting does not help.

The shell passes this program and those of roles/proof to Python as one text.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mirrorfleet.roles.proof.files.api import Api, NotReady, Refused
from mirrorfleet.roles.proof.files.listeners import listeners
from mirrorfleet.roles.proof.files.outcome import Outcome, failures, lines, record
from mirrorfleet.roles.proof.files.session import Session

NEVER = 78

PATIENCE = 600
"""Maximum seconds for all requests: during the first ones, a large model compiles kernels."""

ANOTHER = (
    "Its calls need another parser: correct 'family', or set 'tool_parser' and 'reasoning_parser'."
)

REMEDIES = {
    "call": ANOTHER,
    "stream": "Claude Code reads all answers as streams: set another 'tool_parser'.",
    "no call": (
        "If these weights do not support tools, set 'family: plain'; Claude Code cannot use them."
    ),
    "stop": "Use another release of vLLM.",
    "cut": "See the journal of the engine.",
}
"""Remedies for what every start proves."""

Json = dict[str, Any]

POOLING: dict[str, tuple[str, Json]] = {
    "embed": ("/v1/embeddings", {"input": "a note"}),
    "rerank": ("/v1/rerank", {"query": "a note", "documents": ["a note", "a song"]}),
}
"""Path and content of a request for each task of a pooling model."""

WRONG_TASK = (
    "These weights do not support the 'task': correct it, or add 'convert' from the model card to "
    "'arguments'."
)


class Failure(Exception):
    """A failure with its remedy, for the operator."""


class Engine(Api):
    """An engine on this host, which runs as the user ID ``user``."""

    def __init__(self, url: str, model: str, key: str, user: int) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(url, model, headers, PATIENCE)
        self.user = user

    def check(self) -> None:
        """Raise ``NotReady`` unless the engine itself listens on its port."""
        if listeners(urlsplit(self.url).port or 80) != {self.user}:
            raise NotReady("nothing listens, or another process")

    def window(self) -> int | None:
        """Return the window that the engine reports. Raises ``NotReady`` without an engine."""
        try:
            with self.request("/v1/models") as response:
                models = json.load(response)["data"]
        except (OSError, HTTPException):
            raise NotReady("no answer") from None
        except Refused as refused:
            raise Failure(f"answers /v1/models with {refused.status}: {refused.reason}") from None
        return next(
            (each.get("max_model_len") for each in models if each["id"] == self.model), None
        )

    def cache(self) -> tuple[int, float] | None:
        """Return the capacity of the KV cache in tokens and in full windows.

        Several replicas of the model behind one address are added up.
        """
        replicas = re.findall(r"^vllm:cache_config_info\{.*", self.metrics(), re.MULTILINE)
        tokens, windows = (
            [float(value) for line in replicas for value in re.findall(f'{name}="([0-9.]+)"', line)]
            for name in ("kv_cache_size_tokens", "kv_cache_max_concurrency")
        )
        return (int(sum(tokens)), sum(windows)) if tokens and windows else None


def compare(window: int | None, expected: Json) -> None:
    """Compare the window with the declared one. Raises ``Failure``."""
    if window != expected["context"]:
        raise Failure(
            f"has a window of {window}, but the fleet file has context {expected['context']}, "
            f"which gateways and clients use. Set context: {window}, or remove the option that "
            "changes it."
        )


def measure(cache: tuple[int, float] | None, expected: Json) -> str:
    """Return a line on the KV cache. Raises ``Failure`` if it is too small for the concurrency."""
    context, declared = expected["context"], expected["concurrency"]
    if cache is None:
        if declared:
            raise Failure("does not report the size of its KV cache: remove 'concurrency'.")
        return f"serves a window of {context} tokens"
    tokens, windows = cache
    room = f"KV cache of {tokens} tokens, room for {windows:.2f} full windows of {context}"
    if windows < (declared or 1):
        most = int(tokens / (declared or 1))
        raise Failure(
            f"has a {room}, but the fleet file needs {declared or 1} at the same time. Set context "
            f"to {most} or less, kv_cache_dtype: fp8, a higher gpu_memory_utilization, more GPUs, "
            "or a lower concurrency."
        )
    return f"serves, with a {room}"


def prove(engine: Engine, expected: Json, *, whole_session: bool) -> list[Outcome]:
    """Prove the window, the KV cache and tool calls, or a whole session; return the outcomes.

    Prints a report if the engine serves, or what a session found. Raises ``Failure``.
    """
    compare(engine.window(), expected)
    name = expected["model"]
    if task := expected.get("task"):
        print(f"{name}: {pool(engine, task)}")
        return []
    first = measure(engine.cache(), expected)
    session = Session(engine, expected)
    if whole_session:
        found = list(session.outcomes())
        print(f"{name}: {first}", *lines(name, found), sep="\n")
    else:
        found = [session.outcome("tool call", session.tool_call)]
        if found[0].state != "failed":
            print(f"{name}: {first}")
    if found[0].state == "warning":
        print(
            f"{name}: warning: {found[0].cause}, so the parser '{expected['parser']}' is not "
            "tested: check that the chat template supports tools"
        )
    return found


def pool(engine: Engine, task: str) -> str:
    """Have a pooling model do its task, and return a line on it. Raises ``Failure``.

    ``task``: "embed" or "rerank".
    """
    path, body = POOLING[task]
    try:
        with engine.request(path, {"model": engine.model, **body}) as response:
            answer = json.load(response)
    except Refused as refused:
        more = f" {WRONG_TASK}" if refused.status == 404 else ""
        text = f"answers {path} with {refused.status}: {refused.reason}{more}"
        raise Failure(text) from None
    if task == "embed":
        vectors = [len(entry["embedding"]) for entry in answer["data"]]
        if not vectors or not all(vectors):
            raise Failure("returns no embedding. See the journal of the engine.")
        return f"makes embeddings of {vectors[0]} numbers"
    scores = [entry["relevance_score"] for entry in answer["results"]]
    if len(scores) != len(body["documents"]):
        raise Failure(
            f"returns {len(scores)} scores for {len(body['documents'])} documents. See the journal "
            "of the engine."
        )
    return "scores documents"


def write(file: str, name: str, outcomes: list[Outcome], began: float) -> None:
    """Record a session beside the generations of the service."""
    path = Path(file)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    recorded = {name: record(outcomes, time.monotonic() - began)}
    path.write_text(json.dumps(recorded) + "\n", "utf-8")


def _late(*_: object) -> None:
    raise Failure(f"has not answered within {PATIENCE} seconds. Check its GPUs and its log.")


def main(url: str, user: str, abilities: str = "", file: str = "") -> int:
    """Prove the engine at a URL, and return the exit status."""
    expected = json.load(sys.stdin)
    name = expected["model"]
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(PATIENCE)
    engine = Engine(url, name, os.environ.get("VLLM_API_KEY", ""), pwd.getpwnam(user).pw_uid)
    more = json.loads(abilities or "{}")
    parts = {"tools": bool(expected["parser"]), **expected, **more}
    parts["remedies"] = {**REMEDIES, **more.get("remedies", {})}
    began = time.monotonic()
    try:
        found = prove(engine, parts, whole_session=bool(abilities))
    except Failure as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return NEVER
    except (NotReady, OSError, HTTPException):
        return 1  # it is starting, or has ended, which systemd reports
    messages = list(failures(name, found))
    for message in messages:
        print(message, file=sys.stderr)
    if found and abilities and not messages:
        write(file, name, found, began)
    return NEVER if messages else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
