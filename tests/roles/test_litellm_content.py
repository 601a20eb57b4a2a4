"""What the gateway replaces in a conversation: pure functions, with random conversations."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorfleet.roles.litellm.files import mirrorfleet_content as content
from mirrorfleet.roles.litellm.files.mirrorfleet_content import Abilities

Json = dict[str, Any]

BASE64 = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
IMAGE = {"type": "image", "source": BASE64}
BY_URL = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
PDF = {"type": "document", "source": {**BASE64, "media_type": "application/pdf"}}
PLAIN = {"type": "document", "title": "Notes", "source": {"type": "text", "data": "Buy milk."}}
REFERENCE = {"type": "tool_reference", "tool_name": "WebFetch"}

TEXT_ONLY = Abilities("coder", vision=False, documents=False)
VISION = Abilities("seer", vision=True, documents=False)
OLLAMA = Abilities("seer", vision=True, documents=False, image_urls=False)


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def result(*blocks: Json) -> Json:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(blocks)}


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


ANSWER = {"role": "assistant", "content": [text("Yes.")]}


@pytest.mark.parametrize(
    ("able", "block", "refused"),
    [
        (TEXT_ONLY, IMAGE, "messages.2.content.1.image: The model coder reads text only."),
        (TEXT_ONLY, PDF, "messages.2.content.1.document: The model coder reads text only."),
        (VISION, PDF, "messages.2.content.1.document: The model seer does not support PDF input."),
        (OLLAMA, BY_URL, "messages.2.content.1.image: The model seer reads images only as base64"),
        (VISION, IMAGE, ""),
        (VISION, BY_URL, ""),
        (OLLAMA, IMAGE, ""),
        (TEXT_ONLY, PLAIN, ""),
        (Abilities("claude"), PDF, ""),
    ],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_new_block_is_refused_at_its_place(
    able: Abilities, block: Json, refused: str, is_nested: bool
) -> None:
    place = result(text("read"), block) if is_nested else block
    messages = [user(text("Hello.")), ANSWER, user(text("Look."), place)]
    found = content.refusal(messages, able)
    assert (found[1] if found else "").startswith(refused)
    assert bool(found) is bool(refused)


def test_the_client_quotes_the_whole_reason() -> None:
    for able in (TEXT_ONLY, VISION, OLLAMA):
        named = able._replace(model="a-name-of-a-model-with-40-characters-0001")
        for kind in (content.IMAGE, content.DOCUMENT, content.IMAGE_URL):
            assert len(content.reason(kind, named)) <= 200


def test_a_block_before_the_last_answer_is_replaced_and_not_refused() -> None:
    messages = [user(text("Look."), IMAGE), ANSWER, user(result(IMAGE, PDF)), ANSWER, user()]
    assert content.refusal(messages, TEXT_ONLY) is None
    found, kinds = content.mended(messages, TEXT_ONLY)
    assert kinds == {"earlier_image", "earlier_document"}
    assert found[0]["content"][1]["text"].startswith("[image left out: The model coder reads text")
    nested = found[2]["content"][0]
    assert nested["tool_use_id"] == "toolu_1"
    assert [block["type"] for block in nested["content"]] == ["text", "text"]


def test_a_document_of_plain_text_becomes_text() -> None:
    assert content.refusal([user(PLAIN)], TEXT_ONLY) is None
    found, kinds = content.mended([user(PLAIN)], TEXT_ONLY)
    assert found == [user(text("Notes:\n"), text("Buy milk."))]
    assert kinds == {"text_document"}


def test_a_reference_to_a_tool_becomes_its_name_and_keeps_the_breakpoint_of_the_cache() -> None:
    cached = {**REFERENCE, "cache_control": {"type": "ephemeral"}}
    found, kinds = content.mended([user(result(cached))], Abilities("coder"))
    [block] = found[0]["content"][0]["content"]
    assert block["text"] == "The tool WebFetch is available.\n"
    assert block["cache_control"] == {"type": "ephemeral"}
    assert kinds == {"tool_reference"}


def test_a_missing_content_becomes_an_empty_one() -> None:
    messages: list[Json] = [{"role": "assistant", "content": None}, {"role": "assistant"}]
    found, kinds = content.mended(messages, Abilities("coder"))
    assert found[0] == {"role": "assistant", "content": []}
    assert found[1] == {"role": "assistant"}
    assert kinds == {"null_content"}


BLOCKS = st.sampled_from(
    [IMAGE, BY_URL, PDF, PLAIN, REFERENCE, text("x"), {"type": "thinking", "thinking": "hm"}, "odd"]
)
CONTENTS = st.one_of(st.text(max_size=5), st.lists(BLOCKS, max_size=4))
RESULTS = st.builds(lambda inner: {"type": "tool_result", "content": inner}, CONTENTS)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.one_of(st.none(), CONTENTS, st.lists(st.one_of(BLOCKS, RESULTS))),
        }
    ),
    max_size=5,
)


@given(MESSAGES, st.booleans(), st.booleans(), st.booleans())
def test_nothing_unreadable_is_left_and_everything_else_is_unchanged(
    messages: list[Json], vision: bool, documents: bool, urls: bool
) -> None:
    able = Abilities("coder", vision, documents, urls)
    before = copy.deepcopy(messages)
    found, kinds = content.mended(messages, able)
    assert messages == before, "the input stays, for a fallback"
    assert bool(kinds) is (found != messages)
    for message, was in zip(found, messages, strict=True):
        assert message["role"] == was["role"]
        assert message["content"] is not None
        kept = list(flat(was["content"]))
        for block in flat(message["content"]):
            assert readable(block, able)
            if block in kept:
                kept.remove(block)
            else:
                assert block["type"] == "text"
        assert not [block for block in kept if readable(block, able)], "a block is lost"
    assert content.mended(found, able) == (found, set()), "it is mended already"
    assert content.refusal(found, able) is None


def flat(blocks: Any) -> list[Any]:
    """Return the innermost blocks of a content."""
    if not isinstance(blocks, list):
        return [] if blocks is None else [json.dumps(blocks)]
    found: list[Any] = []
    for block in blocks:
        is_result = isinstance(block, dict) and block["type"] == "tool_result"
        found += flat(block["content"]) if is_result else [block]
    return found


def readable(block: Any, able: Abilities) -> bool:
    """Return whether a model can read a block, by an independent rule."""
    if not isinstance(block, dict):
        return True
    if block["type"] == "document":
        return able.documents
    if block["type"] == "image":
        return able.vision and (able.image_urls or block["source"]["type"] != "url")
    return bool(block["type"] != "tool_reference")


def test_results_in_results_do_not_end_the_recursion_of_python() -> None:
    """A body may have a thousand levels."""
    block = REFERENCE
    for _ in range(900):
        block = result(block)
    messages = [user(block)]
    assert content.mended(messages, OLLAMA) == (messages, set())
