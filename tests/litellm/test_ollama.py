"""Prompts and the window of a model on Ollama, through two workers of the real LiteLLM.

The engine is the stand-in for Ollama, or a real one: see tests/litellm/ollama.py. It also counts
the true length of a prompt, by the same weights with a window eight times as large.
"""

from __future__ import annotations

import base64
import json
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.litellm import ollama
from tests.litellm.gateway import Answer, Gateway, message
from tests.litellm.ollama import LIMIT, REAL, RESERVE, WINDOW, Engine
from tests.litellm.upstream import Upstream

TURNS = 200

TOO_LONG = re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum")

TOOL = {
    "name": "Read",
    "description": "Read a file.",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
}

needs_standin = pytest.mark.skipif(bool(REAL), reason="needs a fault of the stand-in")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ollama.engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(
    engine: Engine, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with ollama.gateway(tmp_path_factory.mktemp("gateway"), upstream, engine.url) as found:
        yield found


class Texts:
    """Text of several kinds, the same in every run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        root = Path(json.__file__).parents[1]
        self.code = "".join(
            path.read_text("utf-8", "replace") for path in sorted(root.glob("a*.py"))
        )
        pages = Path(__file__).parents[2] / "docs" / "explanation"
        self.prose = "".join(path.read_text("utf-8") for path in sorted(pages.glob("*.md")))

    def text(self, size: int) -> str:
        """Return text of about ``size`` characters."""
        match self.random.randrange(6):
            case 0:
                return self.slice(self.prose, size)
            case 1:
                return self.slice(self.code, size)
            case 2:
                rows = [{"id": n, "name": f"row {n}", "on": n % 2 == 0} for n in range(size // 40)]
                return json.dumps(rows)
            case 3:
                return self.wide(size)
            case 4:
                return base64.b64encode(self.random.randbytes(size * 3 // 4)).decode()
            case _:
                return " " * size + "end"

    def wide(self, size: int) -> str:
        """Return Chinese characters of ``size`` bytes."""
        return "".join(chr(self.random.randrange(0x4E00, 0x9FFF)) for _ in range(size // 3))

    def slice(self, text: str, size: int) -> str:
        at = self.random.randrange(max(len(text) - size, 1))
        return text[at : at + size]


class Conversation:
    """A session as of Claude Code: questions, tool calls, and results of tools."""

    def __init__(self, texts: Texts) -> None:
        self.texts, self.turn = texts, 0
        self.messages: list[dict[str, Any]] = []

    def grow(self, size: int) -> None:
        """Add the next message of the client: a question, or the result of a tool."""
        self.turn += 1
        text = self.texts.text(size)
        if not self.messages or self.turn % 3 == 0:
            self.add("user", [{"type": "text", "text": text}])
            return
        call = {"id": f"toolu_{self.turn}", "name": "Read", "input": {"path": f"/src/{self.turn}"}}
        self.messages[-1]["content"].append({"type": "tool_use", **call})
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": text}
        self.add("user", [result])

    def answered(self, answer: Answer) -> None:
        self.add("assistant", list(answer.body["content"]))

    def add(self, role: str, content: list[dict[str, Any]]) -> None:
        self.messages.append({"role": role, "content": content})

    def request(self, **more: Any) -> dict[str, Any]:
        return {
            "model": "sonnet",
            "max_tokens": 16,
            "system": [{"type": "text", "text": "You are careful. " * 20}],
            "tools": [TOOL],
            "messages": self.messages,
            **more,
        }


def is_refused(answer: Answer) -> bool:
    """Return whether a prompt was refused as too long, with Anthropic's message."""
    if answer.code == 200:
        return False
    error = answer.body["error"]
    assert (answer.code, error["type"]) == (400, "invalid_request_error"), answer
    found = TOO_LONG.search(error["message"])
    assert found, error["message"]
    assert int(found[1]) > int(found[2]) == LIMIT
    return True


def session(gateway: Gateway, engine: Engine, seed: int, turns: int) -> list[tuple[int, int]]:
    """Run conversations that grow until they are refused.

    Returns for each turn the tokens of its prompt, and those that the engine read; 0 if refused.
    """
    texts = Texts(seed)
    talk, found = Conversation(texts), []
    for _ in range(turns):
        size = texts.random.choice((40, 400, 1200, 4000, WINDOW // 2))
        talk.grow(size)
        answer = gateway.ask("/v1/messages", talk.request())
        truth = engine.truth(talk.request())
        if is_refused(answer):
            found.append((truth, 0))
            talk = Conversation(texts)
        else:
            found.append((truth, answer.body["usage"]["input_tokens"]))
            talk.answered(answer)
    return found


def test_no_prompt_is_cut_and_none_that_fits_is_refused(gateway: Gateway, engine: Engine) -> None:
    """200 turns of four concurrent conversations, with every kind of text, over two workers."""
    before = engine.cuts()
    with ThreadPoolExecutor(4) as pool:
        sessions = list(pool.map(lambda seed: session(gateway, engine, seed, TURNS // 4), range(4)))
    turns = [turn for turns in sessions for turn in turns]
    fitted = [truth for truth, read in turns if read]
    too_long = [truth for truth, read in turns if not read]
    print(
        f"{len(fitted)} answered, with up to {max(fitted)} tokens; {len(too_long)} refused, with "
        f"{min(too_long)} or more; {render_requests(gateway):g} render requests"
    )
    assert all(read in (0, truth) for truth, read in turns), "a prompt was cut"
    assert max(fitted) <= WINDOW
    assert min(too_long) > 0.9 * WINDOW
    assert len(too_long) > 10
    assert max(fitted) > 0.7 * WINDOW
    assert engine.cuts() == before


@pytest.mark.parametrize("stream", [False, True])
def test_a_long_prompt_between_short_ones_is_refused(gateway: Gateway, stream: bool) -> None:
    """Ollama would drop the long message, and the model would answer the reminder at the end."""
    long = "Please read this. " + "word " * (2 * WINDOW)
    request = message("coder", long, stream=stream, system="Be brief.")
    request["messages"].append({"role": "system", "content": "A reminder."})
    assert is_refused(gateway.ask("/v1/messages", request))


def test_a_long_tool_result_is_refused(gateway: Gateway) -> None:
    talk = Conversation(Texts(1))
    talk.grow(100)
    talk.answered(gateway.ask("/v1/messages", talk.request()))
    talk.turn = 0
    talk.grow(100)
    talk.messages[-1]["content"][0]["content"] = [{"type": "text", "text": "row 1\n" * WINDOW}]
    assert is_refused(gateway.ask("/v1/messages", talk.request()))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_long_prompt_of_another_agent_is_refused(
    gateway: Gateway, engine: Engine, path: str, stream: bool
) -> None:
    """The prompt is in the middle of a conversation with tools, in the form of OpenAI's API."""
    before = engine.cuts()

    def ask(text: str) -> Answer:
        parameters = {"type": "object", "properties": {"path": {"type": "string"}}}
        look = {"name": "look", "description": "Read a file.", "parameters": parameters}
        call = {"name": "look", "arguments": '{"path": "/src"}'}
        if path == "/v1/responses":
            question = {"role": "user", "content": "Please read this."}
            called = {"type": "function_call", "call_id": "call_1", **call}
            result = {"type": "function_call_output", "call_id": "call_1", "output": text}
            body = {"input": [question, called, result], "tools": [{"type": "function", **look}]}
        else:
            talk = [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Please read this."},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": text},
            ]
            body = {"messages": talk, "tools": [{"type": "function", "function": look}]}
        return gateway.ask(path, {"model": "coder", "stream": stream, **body})

    refused = ask("word " * (2 * WINDOW))
    assert refused.code == 400, refused.body
    assert TOO_LONG.search(json.dumps(refused.body)), refused.body
    for words in (10, WINDOW // 2):
        answered = ask("word " * words)
        assert answered.code == 200, answered.body
    assert engine.cuts() == before


def test_workers_share_their_counts(gateway: Gateway, engine: Engine) -> None:
    """Each turn has its own connection. After the first one, the new text is short, so that no turn
    needs a render request."""
    talk = Conversation(Texts(2))
    talk.add("user", [{"type": "text", "text": "word " * (WINDOW // 4)}])
    talk.answered(gateway.ask("/v1/messages", talk.request()))
    time.sleep(1)
    before = render_requests(gateway)
    assert before, "the first turn needs one"
    for _ in range(12):
        talk.add("user", [{"type": "text", "text": "And then?"}])
        talk.answered(gateway.ask("/v1/messages", talk.request()))
        time.sleep(0.3)
    assert render_requests(gateway) == before


def render_requests(gateway: Gateway) -> float:
    """Return the number of render requests of all workers to the engine."""
    text = gateway.ask("/metrics/", key=gateway.master).body
    found = re.findall(r"^mirrorfleet_window_questions_total\{.*\} (\S+)$", text, re.M)
    return sum(map(float, found))


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_of_an_earlier_prompt_are_counted_exactly(
    gateway: Gateway, engine: Engine, stream: bool
) -> None:
    request = message("coder", f"{stream} " + Texts(3).prose[:3000])
    assert gateway.ask("/v1/messages", {**request, "stream": stream}).code == 200
    truth = engine.truth(request)
    assert waited(gateway, request, truth) == truth


def test_tokens_of_a_new_prompt_are_estimated_within_10_percent(
    gateway: Gateway, engine: Engine
) -> None:
    """Chinese text, for which this model has far more tokens than other models."""
    texts = Texts(6)
    for _ in range(8):
        gateway.message("coder", texts.wide(2000))
    time.sleep(1)
    new = message("coder", texts.wide(6000))
    truth, estimate = engine.truth(new), counted(gateway, new)
    assert 0.9 * truth < estimate < 1.1 * truth


def counted(gateway: Gateway, request: dict[str, Any]) -> int:
    body = {name: request[name] for name in ("model", "messages")}
    found: int = gateway.ask("/v1/messages/count_tokens", body).body["input_tokens"]
    return found


def waited(gateway: Gateway, request: dict[str, Any], expected: int) -> int:
    """Return the count once it is as expected: LiteLLM reports a turn after its answer."""
    for _ in range(50):
        if (found := counted(gateway, request)) == expected:
            break
        time.sleep(0.1)
    return found


@needs_standin
def test_a_broken_stream_is_not_counted(gateway: Gateway, engine: Engine) -> None:
    """The first event of a stream holds a guess of Ollama instead of the count."""
    request = message("coder", "break off " + Texts(4).text(600))
    gateway.ask("/v1/messages", {**request, "stream": True})
    time.sleep(1)
    guess = len(json.dumps(request["messages"])) // 4
    assert counted(gateway, request) not in (guess, 0)


@needs_standin
def test_an_answer_ends_at_the_end_of_the_window(gateway: Gateway, engine: Engine) -> None:
    """Otherwise Ollama would drop the beginning of the prompt."""
    request = message("coder", "word " * (WINDOW // 2))
    assert gateway.ask("/v1/messages", {**request, "max_tokens": 32000}).code == 200
    tokens, most = re.findall(r"turn: (\d+) tokens, (\d+) more", engine.log.read_text())[-1]
    assert RESERVE <= int(most) <= WINDOW - int(tokens)


def test_a_long_prompt_goes_to_a_model_with_a_larger_window(
    engine: Engine, upstream: Upstream, tmp_path: Path
) -> None:
    more = "context_window_fallbacks: {coder: [cloud]}\n"
    with ollama.gateway(tmp_path, upstream, engine.url, more, workers=1) as gateway:
        long = "word " * (2 * WINDOW)
        for name in ("coder", "sonnet"):
            assert gateway.message(name, long).text == "pong"
            stream = gateway.ask("/v1/messages", message(name, long, stream=True))
            assert "heard" in stream.body, "the answer of the stand-in for the provider"
        assert gateway.message("coder", "short").text != "pong"


@needs_standin
def test_a_hanging_engine_costs_one_timeout(upstream: Upstream, tmp_path: Path) -> None:
    """It does not answer the render request, and would not answer the turn either."""
    more = "fallbacks: {coder: [cloud]}\n"
    with (
        ollama.engine(tmp_path / "engine", hangs=True) as engine,
        ollama.gateway(
            tmp_path / "gateway", upstream, engine.url, more, workers=1, timeout=3
        ) as gateway,
    ):
        started = time.monotonic()
        assert gateway.message("coder", "word " * (WINDOW // 4)).text == "pong"
        assert 3 < time.monotonic() - started < 6
        assert "turn: " not in engine.log.read_text()


@needs_standin
def test_an_unforeseen_cut_is_reported_and_not_repeated(upstream: Upstream, tmp_path: Path) -> None:
    """An engine without render requests, and text with an unusual number of tokens."""
    with (
        ollama.engine(tmp_path / "engine", debug=False) as engine,
        ollama.gateway(tmp_path / "gateway", upstream, engine.url, workers=1) as gateway,
    ):
        wide = Texts(5).wide(WINDOW * 9 // 5)
        answer = gateway.message("coder", wide)
        assert answer.body["usage"]["input_tokens"] < 0.6 * WINDOW, "the engine has cut it"
        log, words = gateway.directory / "log", "mirrorfleet: Ollama cut a prompt of about"
        end = time.monotonic() + 20  # LiteLLM reports a turn after its answer
        while words not in log.read_text() and time.monotonic() < end:
            time.sleep(0.1)
        assert log.read_text().count(words) == 1
        text = gateway.ask("/metrics/", key=gateway.master).body
        assert 'mirrorfleet_prompts_cut_total{model="coder"} 1.0' in text
        assert is_refused(gateway.message("coder", wide[1:]))
