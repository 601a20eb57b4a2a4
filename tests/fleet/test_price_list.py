"""A provider's model is found in the price list by every id that a fleet file can have."""

from __future__ import annotations

import pytest

from mirrorfleet.data.price_list import Listed, listed

RELEASE = "1.106.12"

HAIKU = Listed(200_000, 64_000, True, frozenset({"vision", "documents", "thinking"}))
GPT_4O = Listed(128_000, 16_384, True, frozenset({"vision", "documents"}))
AZURE_4O = Listed(128_000, 16_384, True, frozenset({"vision"}))


@pytest.mark.parametrize(
    ("provider", "name", "base_model", "found"),
    [
        ("anthropic", "claude-haiku-4-5", None, HAIKU),
        ("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0", None, HAIKU),
        ("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", None, HAIKU),
        ("bedrock", "converse/global.anthropic.claude-haiku-4-5-20251001-v1:0", None, HAIKU),
        ("vertex_ai", "claude-haiku-4-5@20251001", None, HAIKU),
        ("openai", "gpt-4o", None, GPT_4O),
        ("azure", "gpt-4o", None, AZURE_4O),
        ("azure", "responses/gpt-4o", None, AZURE_4O),
        ("azure", "our-deployment", "azure/gpt-4o", AZURE_4O),
        ("openai_compatible", "our-model", "gpt-4o", AZURE_4O),
        ("azure", "our-deployment", None, None),
        ("azure", "gpt-4o", "azure/our-deployment", None),
        ("openai", "claude-haiku-4-5", None, None),
        ("openai_compatible", "gpt-4o", None, None),
    ],
)
def test_a_model_is_found_by_its_id(
    provider: str, name: str, base_model: str | None, found: Listed | None
) -> None:
    assert listed(RELEASE, provider, name, base_model) == found


def test_a_release_without_a_list_uses_the_newest() -> None:
    assert listed("9.9.9", "openai", "gpt-4o", None) == GPT_4O
