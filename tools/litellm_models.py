"""Limits, prices and abilities of providers' models, from the price list in LiteLLM's wheel.

`bin/lock litellm VERSION` writes mirrorfleet/data/litellm_models/VERSION.json with it. For an
existing lock file:

    .venv/bin/python -m tools.litellm_models 1.109.1
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mirrorfleet.runtime import cache

ROOT = Path(__file__).parents[1]
LIST = "litellm/model_prices_and_context_window_backup.json"
PIN = re.compile(r"^litellm==(?:.*\\\n)*.*", re.MULTILINE)

PROVIDERS = {
    "anthropic": re.compile("anthropic"),
    "azure": re.compile("azure"),
    "bedrock": re.compile("bedrock(_converse)?"),
    "gemini": re.compile("gemini"),
    "openai": re.compile("openai"),
    "vertex_ai": re.compile("vertex_ai(-.*)?"),
}
"""The providers of a fleet file, with a pattern of their names in the list."""

ABILITIES = {
    "vision": "supports_vision",
    "documents": "supports_pdf_input",
    "thinking": "supports_reasoning",
}
"""The abilities of a model, with their keys in the list.

Without tools: the list does not have them for many models that have them.
"""

Model = tuple[int | None, int | None, bool, list[str]]
Models = Mapping[str, Mapping[str, Model]]
"""By provider and model: maximum tokens of a prompt and an answer, whether it has a price, and its
abilities."""


def models(listed: Mapping[str, Mapping[str, Any]]) -> Models:
    """Return the chat models of a price list, by the IDs of a fleet file."""
    found: dict[str, dict[str, Model]] = {}
    for provider, pattern in PROVIDERS.items():
        known = found.setdefault(provider, {})
        for name, entry in listed.items():
            if entry.get("mode") in ("chat", "responses") and pattern.fullmatch(
                entry.get("litellm_provider", "")
            ):
                known[name.removeprefix(f"{provider}/")] = (
                    _tokens(entry.get("max_input_tokens")),
                    _tokens(entry.get("max_output_tokens")),
                    "input_cost_per_token" in entry,
                    [name for name, key in ABILITIES.items() if entry.get(key) is True],
                )
    return found


def _tokens(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None


def text(found: Models) -> str:
    """Return the content of a data file, one line per model, for readable diffs of releases."""
    providers = []
    for provider, listed in found.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(listed[name])}" for name in sorted(listed)]
        providers.append(f" {json.dumps(provider)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(providers) + "\n}\n"


def write(root: Path, release: str) -> Path:
    """Write and return the data file of a release, whose lock file is below ``root`` as well."""
    lock = (root / "roles/litellm/locks" / f"{release}.txt").read_text("utf-8")
    target = root / "mirrorfleet/data/litellm_models" / f"{release}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text(models(json.loads(price_list(release, lock)))), "utf-8")
    return target


def price_list(release: str, lock: str) -> bytes:
    """Return the price list of the wheel that a lock file pins, after a check of its hash."""
    pin = PIN.search(lock)
    if pin is None:
        raise ValueError(f"the lock file of LiteLLM {release} does not pin LiteLLM")
    with tarfile.open(
        cache.wheels(f"{pin[0]}\n", f"litellm {release}", "3.11", "x86_64", also="")
    ) as archive:
        [name] = [member for member in archive.getnames() if member.endswith(".whl")]
        wheel = archive.extractfile(name)
        if wheel is None:
            raise ValueError(f"{name} is not a file in the archive of LiteLLM {release}")
        return zipfile.ZipFile(io.BytesIO(wheel.read())).read(LIST)


if __name__ == "__main__":
    print(*[write(ROOT, release) for release in sys.argv[1:]], sep="\n")
