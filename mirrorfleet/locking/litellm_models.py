"""Windows, limits and prices of providers' models, from the price list in LiteLLM's wheel."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from mirrorfleet.locking.wheels import wheel

LIST = "litellm/model_prices_and_context_window_backup.json"

FAMILIES = {
    "bedrock": re.compile("bedrock(_converse)?"),
    "vertex_ai": re.compile("vertex_ai(-.*)?"),
}
"""Providers with several names in the list, with a pattern of these names."""

SUFFIXES = re.compile("/(1024|512|256|high|low|medium|hd|standard|max)[-x/]")
"""Entries with a price by size or quality: an image has no such model id."""

ABILITIES = {
    "vision": "supports_vision",
    "documents": "supports_pdf_input",
    "thinking": "supports_reasoning",
}
"""The abilities of a model, with their keys in the list.

Without tools: the list does not have them for many models that call tools.
"""

Limits = tuple[int | None, int | None, bool, list[str]]
Entry = Limits | tuple[int | None, int | None, bool, list[str], str]
"""Most tokens of a prompt and an answer, whether it has a price, its abilities, and the mode if it
is not chat."""

Models = Mapping[str, Mapping[str, Entry]]
"""The entries by provider, which is LiteLLM's prefix, and by model."""


def models(listed: Mapping[str, Mapping[str, Any]]) -> Models:
    """Return the models of a price list, by the IDs of a fleet file."""
    found: dict[str, dict[str, Entry]] = {}
    for name, entry in listed.items():
        provider = _provider(entry.get("litellm_provider", ""))
        mode = entry.get("mode", "")
        if not provider or mode not in MODES or SUFFIXES.search(f"/{name}"):
            continue
        is_chat = mode in ("chat", "responses")
        limits = (
            _tokens(entry.get("max_input_tokens")),
            _tokens(entry.get("max_output_tokens")),
            "input_cost_per_token" in entry if is_chat else any("cost" in key for key in entry),
            [name for name, key in ABILITIES.items() if entry.get(key) is True],
        )
        found.setdefault(provider, {})[name.removeprefix(f"{provider}/")] = (
            limits if is_chat else (*limits, mode)
        )
    return dict(sorted(found.items()))


MODES = (
    *("chat", "responses", "completion", "embedding", "rerank", "image_generation", "image_edit"),
    *("audio_transcription", "audio_speech", "moderation", "video_generation", "realtime", "ocr"),
)
"""What models of the list are for, by LiteLLM's names."""


def _provider(name: str) -> str:
    return next((family for family, names in FAMILIES.items() if names.fullmatch(name)), name)


def _tokens(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None


def text(found: Models) -> str:
    """Return the content of a data file, one line per model, for readable diffs of releases."""
    providers = []
    for provider, listed in found.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(listed[name])}" for name in sorted(listed)]
        providers.append(f" {json.dumps(provider)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(providers) + "\n}\n"


def price_list(release: str, lock: str) -> bytes:
    """Return the price list of the wheel that a lock file pins, after a check of its hash."""
    with wheel("litellm", release, lock) as file, zipfile.ZipFile(file) as archive:
        return archive.read(LIST)
