"""Ask the engines that already run, from a gateway's host, for what the fleet file declares.

    running_engines.py report [RECORDS]         print the faults of each engine as JSON
    running_engines.py prove [FILE [RECORDS]]   print them as lines; FILE is running.json of the
                                                generation before this one

Run in the directory of a generation, with the environment of the service, which has the engines'
keys. Needs the standard library only. ``prove`` ends with NEVER if an engine that this generation
is the first to use refuses what the gateway would ask. An engine that is down is only reported, as
is any fault of an engine that the generation before used in the same way.

An engine that this generation is the first to use is also asked a session of Claude Code
(roles/proof), if it has /v1/messages. RECORDS has its outcomes, which ``report`` repeats.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, build_opener

from mirrorfleet.roles.proof.files.api import Api, NoRedirect, NotReady, printable
from mirrorfleet.roles.proof.files.outcome import lines, record
from mirrorfleet.roles.proof.files.session import Session

NEVER = 78

LIST, TURN = 10, 90
"""Seconds for a list of models, and for an answer. A model may have to be loaded first."""

ROOM = 1024
"""Tokens of an answer: some models think before they call a tool."""

TRIES = 2
"""Questions with a tool. A model may answer with text once, and call the tool the next time."""

PROMPT = "Leave a note with the Bash tool: run the command `echo ready > note.txt`. Call it now."
SCHEMA = {
    "type": "object",
    "properties": {"command": {"type": "string", "description": "The command to run."}},
    "required": ["command"],
}
BASH = {"name": "Bash", "description": "Runs a command in a shell and returns what it prints."}

CALL_AS_TEXT = re.compile(
    r"<[^\s>]{0,20}(?:tool|function|invoke|call)"
    r'|\[TOOL_CALLS|"name"\s*:\s*"Bash"|"command"\s*:|functions?\.Bash|Bash\(command'
)
"""Forms of a tool call that an engine leaves in the text if it has no parser, or another one."""

POOLED: dict[str, dict[str, Any]] = {
    "embed": {"input": "a note"},
    "rerank": {"query": "a note", "documents": ["a note", "a song"]},
}
"""The content of a request for each task of a pooling model."""

WORD = "mirrorfleet-window"

Json = dict[str, Any]

_open = build_opener(NoRedirect()).open


@dataclass(frozen=True)
class Fault:
    """A fault of an engine, and its fix.

    ``refused``: the engine answers, and contradicts the fleet file. Otherwise it may be down, busy
    or loading, and the same question may have another answer later.
    """

    cause: str
    fix: str
    refused: bool = False


class Stop(Exception):
    """A fault that leaves nothing more to ask."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.cause)
        self.fault = fault


class Engine:
    """A model of an engine, as running.json describes it."""

    def __init__(self, entry: Json) -> None:
        self.entry = entry
        self.model: str = entry["model"]
        self.url: str = entry["url"]
        self.name: str = entry["served_name"]
        self.key = f"models.{self.model}"

    def ask(self, path: str, body: Json | None = None) -> tuple[int, Any]:
        """Return status and content of an answer. Raises ``Stop`` without a usable answer."""
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.entry["variable"], ""):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = Request(self.url + path, data, headers)
            with _open(request, timeout=LIST if body is None else TURN) as answer:
                return answer.status, _parsed(answer.read())
        except HTTPError as error:
            content = _parsed(error.read())
            if error.code in (401, 403):
                raise Stop(self.no_key(error.code)) from None
            if error.code == 429 or error.code >= 502:
                cause = f"{self.url} answers {error.code}: {_message(content)}"
                raise Stop(Fault(cause, "Look at its log.")) from None
            return error.code, content
        except TimeoutError:
            cause = (
                f"no reply from {self.url}{path} within {LIST if body is None else TURN} seconds"
            )
            fix = "Look at what it is busy with, and whether its firewall allows this host."
            raise Stop(Fault(cause, fix)) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            fix = "Start the engine, and open its port to this host."
            raise Stop(Fault(f"no reply from {self.url}: {reason}", fix)) from None

    def no_key(self, status: int) -> Fault:
        """Return the fault of a missing or wrong key."""
        if self.entry["variable"]:
            cause = f"{self.url} refuses the API key ({status})"
            return Fault(cause, f"Correct the secret of {self.key}.api_key.", refused=True)
        cause = f"{self.url} requires an API key ({status})"
        return Fault(cause, f"Write {self.key}.api_key.", refused=True)


def faults(engine: Engine) -> Iterator[Fault]:
    """Yield what an engine does not have or do of what the fleet file declares."""
    try:
        yield from listed(engine)
        if engine.entry.get("task"):
            yield from pooled(engine)
            return
        yield from window(engine)
        yield from turn(engine)
    except Stop as stop:
        yield stop.fault


def listed(engine: Engine) -> Iterator[Fault]:
    """Yield what the list of models says against the fleet file."""
    status, answer = engine.ask("/v1/models")
    if status != 200:
        return  # not every server has the list
    models = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(models, list) or not all(isinstance(each, dict) for each in models):
        cause = f"{engine.url}/v1/models is not a list of models"
        fix = f"Write the engine's own address as {engine.key}.url, without /v1."
        raise Stop(Fault(cause, fix, refused=True))
    known = {str(each.get("id")).removesuffix(":latest"): each for each in models}
    found = known.get(engine.name.removesuffix(":latest"))
    if known and found is None:
        names = ", ".join(sorted(known)[:8])
        cause = f"{engine.url} serves {names}, not '{engine.name}'"
        fix = f"Write {engine.key}.served_name: {min(known)}."
        raise Stop(Fault(cause, fix, refused=True))
    tokens = (found or {}).get("max_model_len")
    if isinstance(tokens, int) and tokens < engine.entry["context"]:
        yield too_small(engine, f"of {tokens} tokens", f"{engine.key}.context: {tokens}")


def window(engine: Engine) -> Iterator[Fault]:
    """Yield a window that is smaller than declared, for an engine that would cut prompts.

    Such an engine shows the prompt as it would cut it, and does not run the model.
    """
    if not engine.entry["cuts"]:
        return
    # The first message goes first, and with it WORD. The template takes some tokens as well.
    filler = " a" * (engine.entry["context"] * 7 // 8)
    messages = [
        {"role": "user", "content": WORD + filler},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "a"},
    ]
    body = {"model": engine.name, "messages": messages, "stream": False}
    body |= {"_debug_render_only": True, "options": {"num_predict": 1}}
    status, answer = engine.ask("/api/chat", body)
    with suppress(KeyError, TypeError):
        if status == 200 and WORD not in answer["_debug_info"]["rendered_template"]:
            yield too_small(engine, "that cuts such prompts", f"a smaller {engine.key}.context")


def too_small(engine: Engine, which: str, instead: str) -> Fault:
    """Return the fault of a window below the declared one."""
    declared = engine.entry["context"]
    cause = f"'{engine.name}' at {engine.url} has a window {which}; the fleet file says {declared}"
    return Fault(cause, f"{engine.entry['window_fix']}, or write {instead}.", refused=True)


def pooled(engine: Engine) -> Iterator[Fault]:
    """Yield why a model for embeddings or scores does not make one."""
    task, path = engine.entry["task"], engine.entry["path"]
    status, answer = engine.ask(path, {"model": engine.name, **POOLED[task]})
    if status in (404, 405):
        cause = f"{engine.url}{path} answers {status}: {_message(answer)}"
        fix = f"Correct {engine.key}.task, or start the server with a model for it."
        yield Fault(cause, fix, refused=True)
    elif status != 200:
        yield _not_answered(engine, status, _message(answer))
    elif not made(task, answer):
        cause = f"{engine.url}{path} answers {str(answer)[:80]!r}, without an embedding or score"
        yield Fault(cause, f"Correct {engine.key}.task.", refused=True)


def made(task: str, answer: Any) -> bool:
    """Return whether an answer has an embedding, or a score for each document."""
    with suppress(AttributeError, KeyError, TypeError, IndexError):
        if task == "embed":
            return bool(answer["data"][0]["embedding"])
        scores = [each["relevance_score"] for each in answer["results"]]
        return len(scores) == len(POOLED[task]["documents"])
    return False


def turn(engine: Engine) -> Iterator[Fault]:
    """Yield why a turn fails: with a tool that the model should call, if it has tools."""
    tries = TRIES if engine.entry["tools"] else 1
    for _ in range(tries):
        status, answer = engine.ask(engine.entry["path"], question(engine))
        if status != 200:
            yield _not_answered(engine, status, _message(answer))
            return
        called, text = call_and_text(answer)
        if called or not engine.entry["tools"]:
            return
        if CALL_AS_TEXT.search(text):
            cause = f"'{engine.name}' at {engine.url} writes its tool call as text: {text[:80]!r}"
            yield Fault(cause, f"{engine.entry['tools_fix']}.", refused=True)
            return
    cause = f"'{engine.name}' at {engine.url} answers {text[:80]!r} and does not call the tool"
    yield Fault(cause, "Ask again. Claude Code cannot use a model that never calls tools.")


def question(engine: Engine) -> Json:
    """Return a turn in the engine's API, with a tool if the model has tools."""
    room = min(ROOM, engine.entry["output"]) if engine.entry["tools"] else 16
    body: Json = {"model": engine.name, "max_tokens": room, "stream": False}
    body["messages"] = [{"role": "user", "content": PROMPT}]
    if not engine.entry["tools"]:
        return body
    if engine.entry["path"].endswith("/messages"):
        return {**body, "tools": [{**BASH, "input_schema": SCHEMA}]}
    return {**body, "tools": [{"type": "function", "function": {**BASH, "parameters": SCHEMA}}]}


def call_and_text(answer: Any) -> tuple[bool, str]:
    """Return whether an answer has a tool call, and its text. Both APIs."""
    with suppress(AttributeError, KeyError, TypeError, IndexError):
        if "choices" in answer:
            message = answer["choices"][0]["message"]
            return bool(message.get("tool_calls")), str(message.get("content") or "")
        blocks = answer["content"] or []
        text = " ".join(each.get("text") or "" for each in blocks)
        return any(each.get("type") == "tool_use" for each in blocks), text.strip()
    return False, str(answer)


def _not_answered(engine: Engine, status: int, message: str) -> Fault:
    path = engine.entry["path"]
    cause = f"{engine.url}{path} answers {status}: {message}"
    if engine.entry["tools"] and "tool" in message.lower():
        return Fault(cause, f"{engine.entry['tools_fix']}.", refused=True)
    if status in (404, 405):
        fix = f"Correct {engine.key}.url; or write engine: external, if it has no {path}."
        return Fault(cause, fix, refused=True)
    return Fault(cause, "Look at its log.", refused=status < 500)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode(errors="replace")


def _message(content: Any) -> str:
    """Return the reason in an error of either API."""
    error = content.get("error", content) if isinstance(content, dict) else content
    text = str(error.get("message", error) if isinstance(error, dict) else error)
    return printable(" ".join(text.split())[:200]) or "nothing"


def used(entry: Json) -> Json:
    """Return how a gateway uses an engine: by this, one that it used before is recognized."""
    return {
        name: entry.get(name)
        for name in ("url", "served_name", "variable", "context", "tools", "task")
    }


def asked_session(engine: Engine) -> tuple[Json | None, list[Fault]]:
    """Return the record of a session with an engine, and its failures; ``None`` without one.

    A cache that is never hit only makes an engine slow: it is reported, and ends no change.
    """
    expected = engine.entry.get("session")
    if not expected:
        return None, []
    key = os.environ.get(engine.entry["variable"], "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    began = time.monotonic()
    try:
        api = Api(engine.url, engine.name, headers, TURN, proxies=True)
        found = list(Session(api, {**expected, "context": engine.entry["context"]}).outcomes())
    except (NotReady, OSError, HTTPException, ValueError) as error:
        return None, [Fault(f"{engine.url} ends a session: {error}", "Look at its log.")]
    print(*lines(engine.model, found), sep="\n", file=sys.stderr)
    failed = [
        Fault(
            f"'{engine.name}' at {engine.url} {outcome.cause}",
            outcome.remedy.rstrip("."),
            refused=outcome.item != "prompt cache",
        )
        for outcome in found
        if outcome.state == "failed"
    ]
    return record(found, time.monotonic() - began), failed


def read(file: str) -> Any:
    """Return the JSON of a file; ``None`` if there is none."""
    with suppress(OSError, ValueError):
        return json.loads(Path(file).read_text(encoding="utf-8"))
    return None


def report(entries: list[Json], found: list[list[Fault]], records: Json) -> list[Json]:
    """Return the faults of each engine, and the record of its session if it is used as then."""
    reported = []
    for entry, each in zip(entries, found):  # noqa: B905, hosts have Python 3.9
        known = records.get(entry["model"], {})
        proved = known.get("proof") if known.get("used") == used(entry) else None
        faults = [
            {**asdict(fault), "cause": printable(fault.cause), "fix": printable(fault.fix)}
            for fault in each
        ]
        reported.append({"model": entry["model"], "faults": faults, "proof": proved})
    return reported


def prove(entries: list[Json], found: list[list[Fault]], before: str, file: str) -> int:
    """Ask new engines a session, print all faults, and return the exit status."""
    known = list(map(used, read(before) or []))
    records = read(file) or {}
    new = [used(entry) not in known for entry in entries]
    asked = [is_new and not each for is_new, each in zip(new, found)]  # noqa: B905
    with ThreadPoolExecutor(8) as pool:
        sessions = list(
            pool.map(
                lambda entry, ask: asked_session(Engine(entry)) if ask else (None, []),
                entries,
                asked,
            )
        )
    is_refused = False
    for at, entry in enumerate(entries):
        proved, failed = sessions[at]
        if asked[at]:
            records[entry["model"]] = {"used": used(entry), "proof": proved}
        for fault in [*found[at], *failed]:
            text = f"{fault.cause}. {fault.fix.rstrip('.')}."
            print(f"{entry['model']}: {printable(text)}", file=sys.stderr)
            is_refused = is_refused or (fault.refused and new[at])
    if file and not is_refused:
        Path(file).parent.mkdir(mode=0o755, exist_ok=True)
        Path(file).write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return NEVER if is_refused else 0


def main(job: str, *files: str) -> int:
    entries = json.loads(Path("running.json").read_text(encoding="utf-8"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda entry: list(faults(Engine(entry))), entries))
    if job == "report":
        print(json.dumps(report(entries, found, read(files[0] if files else "") or {})))
        return 0
    before, file = (*files, "", "")[:2]
    return prove(entries, found, before, file)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
