"""A gateway's estimates of prompt lengths, without LiteLLM: see also tests/litellm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mirrorfleet.roles.litellm.files import mirrorfleet_prompt_parts, mirrorfleet_token_counts
from mirrorfleet.roles.litellm.files.mirrorfleet_token_counts import Counts
from tests.standins.ollama import prompt as standin

WINDOW = 16384

REQUEST: dict[str, Any] = {
    "model": "coder",
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "tools": [
        {
            "name": "Read",
            "description": "Read <a file>.",
            "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}},
        }
    ],
    "messages": [
        {"role": "user", "content": "Read both & compare."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "First the one.", "signature": "x"},
                {"type": "text", "text": "I read."},
                {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "/a"}},
                {"type": "tool_use", "id": "t2", "name": "Read", "input": {"path": "/ä"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t2",
                    "content": [
                        {"type": "text", "text": "two"},
                        {"type": "image", "source": {"type": "base64", "data": "aaaa"}},
                    ],
                },
                {"type": "document", "source": {"type": "base64", "data": "bbbb"}},
                {"type": "text", "text": "And?"},
            ],
        },
        {"role": "system", "content": "A reminder."},
    ],
}


@pytest.fixture(name="hook")
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """Return the modules, which import each other by name as in a generation."""
    found = {
        "mirrorfleet_prompt_parts": mirrorfleet_prompt_parts,
        "mirrorfleet_token_counts": mirrorfleet_token_counts,
    }
    for name, module in found.items():
        monkeypatch.setitem(sys.modules, name, module)
    from mirrorfleet.roles.litellm.files import (
        mirrorfleet_ollama_request,
        mirrorfleet_token_estimate,
    )

    yield mirrorfleet_ollama_request, mirrorfleet_token_estimate


def test_the_render_request_gives_the_same_prompt_as_the_turn(hook: Any) -> None:
    body, marker = hook[0].render_request("coder", REQUEST, reserve=3)
    system, first, second, *rest = body["messages"]
    assert (first["content"], second["role"]) == (f"{marker} a a a", "assistant")
    translated = standin.chat(REQUEST)
    rendered = standin.render([system, *rest], body["tools"])
    assert rendered == standin.render(translated["messages"], translated["tools"])
    images = [len(message.get("images") or ()) for message in (system, *rest)]
    assert images == [len(message.get("images") or ()) for message in translated["messages"]]


@pytest.mark.parametrize("room", [-1, 0, 1])
def test_the_marker_shows_whether_prompt_and_reserve_fit(hook: Any, room: int) -> None:
    body, marker = hook[0].render_request("coder", REQUEST, reserve=100)
    window = standin.size(body["messages"], body["tools"]) + room
    assert (marker in standin.prompt(body, window).text) == (room >= 0)


def test_a_prompt_has_at_most_the_upper_bound_of_tokens(hook: Any) -> None:
    translated = standin.chat(REQUEST)
    bound = sum(part.upper_bound for part in mirrorfleet_prompt_parts.split(REQUEST))
    assert standin.size(translated["messages"], translated["tools"]) <= bound


def test_counts_survive_a_restart_and_are_shared(hook: Any, tmp_path: Path) -> None:
    path, estimates = str(tmp_path / "counts"), hook[1]
    first, second = Counts(path), Counts(path)
    turn = estimates.estimated(first, "coder", WINDOW, REQUEST)
    assert turn.counted == 0
    estimates.record(first, turn, 700)
    for counts in (second, Counts(path)):
        assert estimates.estimated(counts, "coder", WINDOW, REQUEST).estimate == 700
        grown = {**REQUEST, "messages": [*REQUEST["messages"], {"role": "user", "content": "x"}]}
        turn = estimates.estimated(counts, "coder", WINDOW, grown)
        assert (turn.known, len(turn.new)) == (700, 1)
        # The client moves its cache marker from message to message; that changes no count.
        unmarked = {**REQUEST, "system": [{"type": "text", "text": "Be brief."}]}
        assert estimates.estimated(counts, "coder", WINDOW, unmarked).known == 700
        for weights, request in (("other weights", REQUEST), ("coder", {**REQUEST, "tools": []})):
            assert estimates.estimated(counts, weights, WINDOW, request).known == 0


def test_without_a_usable_file_the_counts_stay_in_memory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    for path in (tmp_path, tmp_path / "none" / "counts", tmp_path / "link"):
        counts = Counts(str(path))
        assert str(path) in counts.error
        counts.store(b"x" * 16, 5)
        assert counts.find(b"x" * 16) == 5


def test_a_torn_record_counts_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    counts = Counts(str(path))
    counts.store(b"x" * 16, 5)
    content = bytearray(path.read_bytes())
    content[content.index(b"x" * 16) + 16] ^= 1
    path.write_bytes(content)
    assert Counts(str(path)).find(b"x" * 16) is None


def test_tokens_per_byte_are_learnt_by_kind_of_text(hook: Any, tmp_path: Path) -> None:
    """After some turns, the estimate for an unusual tokenizer is within 10 %."""
    counts, estimates = Counts(str(tmp_path / "counts")), hook[1]

    def turn_of(words: int, wide: int) -> Any:
        content = "word " * words + "語" * wide
        request = {"messages": [{"role": "user", "content": content}]}
        return estimates.estimated(counts, "coder", WINDOW, request), words + 3 * wide

    for size in range(20):
        turn, tokens = turn_of(*((300 + size, 0) if size % 2 else (50, 300 + size)))
        estimates.record(counts, turn, tokens)
    turn, tokens = turn_of(1000, 500)
    assert 0.9 * tokens < turn.estimate < 1.1 * tokens
