"""What a gateway knows of the lengths of prompts, without LiteLLM: tests/litellm/test_ollama.py."""

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
    """The modules that import others of a generation, as they do there."""
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


def test_the_engine_is_asked_about_the_prompt_that_it_would_make_of_the_turn(hook: Any) -> None:
    asked, word = hook[0].question("coder", REQUEST, reserve=3)
    system, first, second, *rest = asked["messages"]
    assert (first["content"], second["role"]) == (f"{word} a a a", "assistant")
    itself = standin.chat(REQUEST)
    rendered = standin.render([system, *rest], asked["tools"])
    assert rendered == standin.render(itself["messages"], itself["tools"])
    images = [len(each.get("images") or ()) for each in (system, *rest)]
    assert images == [len(each.get("images") or ()) for each in itself["messages"]]


@pytest.mark.parametrize("room", [-1, 0, 1])
def test_the_answer_tells_whether_prompt_and_reserve_fit(hook: Any, room: int) -> None:
    asked, word = hook[0].question("coder", REQUEST, reserve=100)
    window = standin.size(asked["messages"], asked["tools"]) + room
    assert (word in standin.prompt(asked, window).text) == (room >= 0)


def test_a_prompt_has_no_more_tokens_than_it_is_taken_for_at_the_most(hook: Any) -> None:
    itself = standin.chat(REQUEST)
    most = sum(part.most for part in mirrorfleet_prompt_parts.pieces(REQUEST))
    assert standin.size(itself["messages"], itself["tools"]) <= most


def test_what_was_counted_survives_a_restart_and_is_shared(hook: Any, tmp_path: Path) -> None:
    path, turns = str(tmp_path / "counts"), hook[1]
    one, other = Counts(path), Counts(path)
    turn = turns.weighed(one, "coder", WINDOW, REQUEST)
    assert turn.counted == 0
    turns.count(one, turn, 700)
    for each in (other, Counts(path)):
        assert turns.weighed(each, "coder", WINDOW, REQUEST).estimate == 700
        grown = {**REQUEST, "messages": [*REQUEST["messages"], {"role": "user", "content": "x"}]}
        turn = turns.weighed(each, "coder", WINDOW, grown)
        assert (turn.known, len(turn.new)) == (700, 1)
        # A marker of the client's that moves from message to message changes nothing.
        marked = {**REQUEST, "system": [{"type": "text", "text": "Be brief."}]}
        assert turns.weighed(each, "coder", WINDOW, marked).known == 700
        for whose, request in (("other weights", REQUEST), ("coder", {**REQUEST, "tools": []})):
            assert turns.weighed(each, whose, WINDOW, request).known == 0


def test_a_file_that_cannot_be_used_costs_nothing_but_memory(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    for path in (tmp_path, tmp_path / "none" / "counts", tmp_path / "link"):
        counts = Counts(str(path))
        assert str(path) in counts.error
        counts.keep(b"x" * 16, 5)
        assert counts.find(b"x" * 16) == 5


def test_a_torn_record_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    counts = Counts(str(path))
    counts.keep(b"x" * 16, 5)
    content = bytearray(path.read_bytes())
    content[content.index(b"x" * 16) + 16] ^= 1
    path.write_bytes(content)
    assert Counts(str(path)).find(b"x" * 16) is None


def test_the_tokens_of_a_text_are_learnt_by_its_kind(hook: Any, tmp_path: Path) -> None:
    """A model with other tokens than most: after some turns, an estimate is near."""
    counts, turns = Counts(str(tmp_path / "counts")), hook[1]

    def asked(words: int, wide: int) -> Any:
        content = "word " * words + "語" * wide
        request = {"messages": [{"role": "user", "content": content}]}
        return turns.weighed(counts, "coder", WINDOW, request), words + 3 * wide

    for size in range(20):
        turn, tokens = asked(*((300 + size, 0) if size % 2 else (50, 300 + size)))
        turns.count(counts, turn, tokens)
    turn, tokens = asked(1000, 500)
    assert 0.9 * tokens < turn.estimate < 1.1 * tokens
