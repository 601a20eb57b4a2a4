"""The session of the proof: what it sends, and its outcome for each fault of an engine."""

from __future__ import annotations

import json
import os
import pwd
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mirrorfleet.config.abilities import Abilities, Thinking
from mirrorfleet.engines.known import ThinkingArguments
from mirrorfleet.planning.proof import ProofPlan
from mirrorfleet.roles.proof import program
from mirrorfleet.roles.proof.files import turns
from mirrorfleet.roles.proof.files.api import Api, Refused, reason
from mirrorfleet.roles.proof.files.outcome import Outcome, failures, lines
from mirrorfleet.roles.proof.files.prompt_cache import PromptCache
from mirrorfleet.roles.proof.files.session import Session
from mirrorfleet.roles.proof.remedies import expectations
from mirrorfleet.roles.vllm import render
from mirrorfleet.runtime.service import NEVER
from tests.roles import programs
from tests.standins.vllm import CALL, Engine, says, served

Json = dict[str, Any]

ITEMS = (
    "tool call",
    "tool result",
    "tool reference",
    "image",
    "system message",
    "thinking on",
    "thinking off",
    "effort",
    "prompt cache",
)

REMEDIES = {item: f"The remedy of {item}." for item in (*ITEMS, "stream", "cache off", "thoughts")}
REMEDIES |= {item: f"The remedy of {item}." for item in ("still thinks", "cache block", "call")}

TEXT = says('<tool_call>\n{"name": "Bash", "arguments": {}}\n</tool_call>')
SETTINGS = "by the clients' settings"


def session(engine: Engine, **expected: Any) -> dict[str, Outcome]:
    """Return the outcomes of an engine that can do everything, by item."""
    abilities = {"tools": True, "parser": "hermes", "context": 131072, "remedies": REMEDIES}
    with served(engine) as url:
        found = Session(Api(url, "tiny", {}, 20), {**abilities, **expected}).outcomes()
        return {outcome.item: outcome for outcome in found}


LEVELS = {
    level: {"thinking": {"type": "adaptive"}, "output_config": {"effort": level}}
    for level in ("low", "high")
}
EVERYTHING = {"vision": True, "thinking": "switchable", "turns": {"efforts": LEVELS}}


def able(**other: Any) -> Engine:
    return Engine(**{"vision": True, "thinks": True, **other})


def test_an_engine_that_takes_everything_has_no_failure() -> None:
    found = session(able(), **EVERYTHING)
    assert [*found] == [*ITEMS]
    assert {outcome.state for outcome in found.values()} == {"ok"}


def test_what_a_model_cannot_do_is_not_asked() -> None:
    engine = Engine(content=says("Hello"), stop="end_turn")
    found = session(engine, tools=False, parser=None)
    skipped = ("tool call", "tool reference", "image", "thinking on", "thinking off", "effort")
    assert {item for item in found if found[item].state == "not asked"} == {*skipped}
    assert not any({"tools", "thinking", "output_config"} & body.keys() for body in engine.asked)
    assert all(found[item].state == "ok" for item in ITEMS if item not in skipped)


@pytest.mark.parametrize(
    ("engine", "item", "cause", "remedy"),
    [
        pytest.param(
            able(streamed=TEXT),
            "tool call",
            "the parser 'hermes' recognizes only calls that are not streamed",
            "stream",
            id="a parser that breaks in streams only: text",
        ),
        pytest.param(
            able(streamed=[{**CALL[0], "input": {"command": "echo"}}]),
            "tool call",
            "in a stream the parser 'hermes' makes {'command': 'echo'} of it",
            "stream",
            id="a parser that breaks in streams only: half a call",
        ),
        pytest.param(
            able(streamed=[{**CALL[0], "input": {}}]),
            "tool call",
            "the parser 'hermes' returns 'Bash' with {} (streamed)",
            "stream",
            id="a parser that breaks in streams only: no arguments",
        ),
        pytest.param(
            able(content=TEXT),
            "tool call",
            "does not recognize the call (not streamed)",
            "call",
            id="another parser",
        ),
        pytest.param(
            able(raises="tool_result"),
            "tool result",
            "refuses a conversation with a tool result (400: Unexpected item type in content.)",
            "tool result",
            id="a template that raises on results",
        ),
        pytest.param(
            able(raises="tool_reference"),
            "tool reference",
            "refuses a tool reference in a result (400: Unexpected item type in content.)",
            "tool reference",
            id="a template that raises on tool references",
        ),
        pytest.param(
            able(drops_references=True),
            "tool reference",
            "drops a tool reference",
            "tool reference",
            id="a template that drops tool references",
        ),
        pytest.param(
            able(vision=False),
            "image",
            "refuses an image (400: tiny is not a multimodal model)",
            "image",
            id="no images",
        ),
        pytest.param(
            able(raises="system"),
            "system message",
            "refuses a system message in mid-conversation (400: System message must be at the",
            "system message",
            id="a template that raises on later system messages",
        ),
        pytest.param(
            able(aloud=True),
            "thinking on",
            "thinks in the text of its answer",
            "thoughts",
            id="no reasoning parser",
        ),
        pytest.param(
            able(obeys=False),
            "thinking off",
            "thinks although the request turns thinking off",
            "still thinks",
            id="thinking that does not obey",
        ),
        pytest.param(
            able(raises="high"),
            "effort",
            "refuses effort high (Unexpected reasoning effort.)",
            "effort",
            id="a template that raises on a level",
        ),
        pytest.param(
            able(caches=False),
            "prompt cache",
            "which it has just answered: its prefix cache is off",
            "cache off",
            id="no prefix cache",
        ),
        pytest.param(
            able(hits=False),
            "prompt cache",
            "which it has just answered: its prefix cache is never hit",
            "prompt cache",
            id="a cache that is never hit",
        ),
        pytest.param(
            able(hits=False, details=True),
            "prompt cache",
            "its prefix cache is never hit",
            "prompt cache",
            id="a cache that is never hit, by its usage",
        ),
        pytest.param(
            able(hits=False, block=65536),
            "prompt cache",
            "a block of its cache has 65536 tokens",
            "cache block",
            id="a block that no prompt fills",
        ),
    ],
)
def test_a_fault_fails_its_item_with_the_remedy(
    engine: Engine, item: str, cause: str, remedy: str
) -> None:
    found = session(engine, **EVERYTHING)
    assert cause in found[item].cause
    assert (found[item].state, found[item].remedy) == ("failed", f"The remedy of {remedy}.")
    others = {other: found[other].state for other in ITEMS if other != item}
    # A parser that fails, fails only the item of the parser: each fault has one cause.
    assert {*others.values()} <= {"ok", "not asked"}


def test_what_settings_or_the_gateway_keep_from_an_engine_is_mended() -> None:
    kept = {"tool reference": SETTINGS, "system message": "by the gateway"}
    found = session(able(raises="tool_reference"), **EVERYTHING, kept=kept)
    reference = found["tool reference"]
    assert (reference.state, reference.note) == ("mended", SETTINGS)
    assert found["system message"].state == "ok", "it is asked all the same"
    assert list(failures("tiny", [*found.values()])) == []


def test_a_model_that_always_thinks_may_think_when_it_is_off() -> None:
    found = session(able(obeys=False), **{**EVERYTHING, "thinking": "always"})
    assert found["thinking off"].state == "ok"


@pytest.mark.parametrize("details", [False, True], ids=["from metrics", "from usage"])
def test_the_repeated_prompt_has_the_desired_length_and_a_hit_rate(details: bool) -> None:
    engine = able(details=details)
    note = session(engine, **EVERYTHING)["prompt cache"].note
    assert note.startswith("100% of "), note
    assert 18_000 < int(note.split()[2]) <= 20_000
    small = able(details=details)
    note = session(small, **EVERYTHING, context=8192)["prompt cache"].note
    assert 3_600 < int(note.split()[2]) <= 4096, "half the window"


def test_an_engine_without_figures_of_its_cache_is_not_sent_a_long_prompt() -> None:
    engine = able(reports=False)
    assert session(engine, **EVERYTHING)["prompt cache"].state == "not reported"
    assert max(len(json.dumps(body)) for body in engine.asked) < 8000


def test_thinking_is_sent_as_the_gateway_sends_it() -> None:
    arguments = ThinkingArguments(
        "switchable", False, {"enable_thinking": True}, {"enable_thinking": False}, ("low", "high")
    )
    thinking = Thinking("switchable", True, ("low", "high"))
    plan = ProofPlan(Abilities(True, True, False, thinking), arguments, {}, {})
    engine = able()
    found = session(engine, **expectations(plan, REMEDIES))
    assert {found[item].state for item in ("thinking on", "thinking off", "effort")} == {"ok"}
    sent = [body.get("chat_template_kwargs") for body in engine.asked]
    assert {"enable_thinking": True, "reasoning_effort": "low"} in sent
    assert sent.count({"enable_thinking": False}) == 2
    assert not any("thinking" in body or "output_config" in body for body in engine.asked)


def test_a_session_is_small() -> None:
    engine = able()
    session(engine, **EVERYTHING)
    assert len(engine.asked) < 20
    short = [body for body in engine.asked if body["max_tokens"] != turns.CALL]
    assert max(body["max_tokens"] for body in short) <= turns.ANSWER


def test_the_turns_are_those_of_claude_code() -> None:
    engine = able()
    session(engine, **EVERYTHING)
    body = engine.asked[0]
    assert body["thinking"] == {"type": "adaptive"}
    assert body["system"][-1]["cache_control"] == {"type": "ephemeral"}
    roles = {tuple(message["role"] for message in body["messages"]) for body in engine.asked}
    assert ("user", "assistant", "user", "system") in roles, "the last message is a system message"
    kinds = {
        block["type"]
        for body in engine.asked
        for message in body["messages"]
        for block in message["content"]
    }
    assert {"text", "tool_use", "tool_result", "thinking"} <= kinds


def test_the_image_is_a_png() -> None:
    size = struct.unpack(">II", turns.PNG[16:24])
    at = turns.PNG.index(b"IDAT")
    [length] = struct.unpack(">I", turns.PNG[at - 4 : at])
    pixels = zlib.decompress(turns.PNG[at + 4 : at + 4 + length])
    assert size == (64, 64)
    assert len(pixels) == 64 * (1 + 3 * 64)


def test_a_report_fits_80_columns() -> None:
    found = session(able(raises="tool_reference"), **EVERYTHING, kept={"tool reference": SETTINGS})
    for line in lines("qwen3-coder-480b", [*found.values()]):
        assert len(f"[gpu-17] {line}") <= 80, line


# The program on a host.

SERVES = {"model": "tiny", "context": 131072, "parser": "hermes", "concurrency": None}
ME = pwd.getpwuid(os.getuid()).pw_name


def proved(engine: Engine, tmp_path: Path, **abilities: Any) -> subprocess.CompletedProcess[str]:
    """Run the program as a host receives it: one text, without Mirrorfleet."""
    text = program(render.FILES / "smoke_test.py")
    expected = json.dumps({"vision": True, "thinking": "none", "remedies": REMEDIES, **abilities})
    with served(engine) as url:
        command = [sys.executable, "-I", "-S", "-c", text, url, ME, expected]
        return programs.run([*command, str(tmp_path / "proofs/1.json")], json.dumps(SERVES))


def test_the_program_reports_and_records_a_session(tmp_path: Path) -> None:
    done = proved(able(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:3] == [
        "tiny: serves, with a KV cache of 262144 tokens, room for 2.00 full windows of 131072",
        "tiny: tool call      ok, the same whole and streamed",
        "tiny: tool result    ok",
    ]
    recorded = json.loads((tmp_path / "proofs/1.json").read_text("utf-8"))["tiny"]
    assert [each["item"] for each in recorded["outcomes"]] == [*ITEMS]
    assert recorded["outcomes"][2] == {"item": "tool reference", "state": "ok", "note": ""}


def test_a_failed_session_ends_the_wait_and_is_not_recorded(tmp_path: Path) -> None:
    done = proved(able(raises="tool_reference", caches=False), tmp_path)
    assert done.returncode == NEVER
    assert len(done.stderr.splitlines()) == 2
    assert "The remedy of tool reference." in done.stderr
    assert "The remedy of cache off." in done.stderr
    assert "tiny: tool reference failed" in done.stdout
    assert not (tmp_path / "proofs").exists()


def test_the_program_fits_one_argument_of_a_command() -> None:
    assert len(program(render.FILES / "smoke_test.py")) < 64 * 1024


class Odd(Engine):
    """An engine whose answers have another form; ``odd`` is one."""

    odd: Any = None

    def post(self, path: str, body: Json) -> tuple[int, str]:
        return 200, json.dumps(self.odd)


@pytest.mark.parametrize(
    "odd",
    [
        [],
        None,
        3,
        {"content": [3]},
        {"content": [{}]},
        {"content": [{"type": "tool_use"}]},
        {"content": "text"},
        {"content": [], "stop_reason": [], "usage": {"input_tokens": "many"}},
        {"content": [{"type": "text", "text": "a"}], "usage": {"input_tokens": float("inf")}},
    ],
    ids=repr,
)
def test_an_answer_that_is_no_message_is_a_failure(odd: Any) -> None:
    engine = Odd()
    engine.odd = odd
    found = session(engine, **EVERYTHING)
    assert [*found] == [*ITEMS]
    assert found["tool call"].state in ("failed", "warning")


def test_the_words_of_an_engine_do_not_control_the_terminal() -> None:
    """It could hide a failure, or write a line of the report."""
    engine = Odd()
    engine.odd = {"content": [{"type": "text", "text": "a"}], "stop_reason": "\x1b[2J\rok"}
    engine.odd["content"] = [{**CALL[0]}]
    found = [*session(engine, **EVERYTHING).values()]
    text = "".join([*lines("tiny", found), *failures("tiny", found)])
    assert "[2J" in text
    assert text.isprintable()
    error = Refused(400, reason(json.dumps({"error": "\x1b]0;mine\x07"})))
    assert error.reason.isprintable()


@pytest.mark.parametrize("count", [0, 1])
def test_an_engine_that_counts_no_tokens_gets_no_prompt_of_hundreds_of_megabytes(
    count: int,
) -> None:
    class Uncounted(Api):
        def count(self, body: Json) -> int | None:
            return count

    start = turns.opening(tools=True, thinking={})
    cache = PromptCache(
        Uncounted("", "tiny", {}, 1), 131072, start, reports=True, tokens_per_character=0
    )
    assert turns.size(cache._long(20_000)) < 1_000_000


def test_a_redirect_does_not_take_the_key_to_another_server() -> None:
    other = Engine()
    with served(other) as elsewhere, redirecting(f"{elsewhere}/metrics") as url:
        api = Api(url, "tiny", {"Authorization": "Bearer secret"}, 20)
        with pytest.raises(Refused) as refused:
            api.message(turns.opening(tools=True, thinking={}), streamed=False)
        assert refused.value.status == 302
        assert api.metrics() == ""


@contextmanager
def redirecting(target: str) -> Iterator[str]:
    """Serve redirects to a target, and yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
