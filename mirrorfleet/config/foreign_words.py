"""Words of other projects, and what people write from habit, with the words of a fleet file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mirrorfleet.config.problems import Key

KEYS = {
    "max_model_len": "context",
    "max-model-len": "context",
    "num_ctx": "context",
    "context_length": "context",
    "max_tokens": "output",
    "max_output_tokens": "output",
    "num_predict": "output",
    "api_base": "url",
    "base_url": "url",
    "ip": "address",
    "hostname": "address",
    "ansible_host": "address",
    "tp": "tensor_parallel",
    "tensor-parallel-size": "tensor_parallel",
    "tensor_parallel_size": "tensor_parallel",
    "num_workers": "workers",
}
"""Keys of vLLM, Ollama, LiteLLM and Ansible, each with the key of the fleet file."""

MOVING = ("latest", "stable", "nightly")
"""Words for a release that is another one each month."""

PROVIDERS = {
    "claude": "anthropic",
    "gpt": "openai",
    "chatgpt": "openai",
    "google": "gemini",
    "aws": "bedrock",
    "vertex": "vertex_ai",
}
"""Names of models and companies, each with the provider of the fleet file."""

LOGIN = re.compile("[a-z_][a-z0-9_-]*")

THOUSANDS = re.compile(r"([1-9][0-9]{0,4})([kKmM])i?")


def key(name: str, known: Iterable[str]) -> str:
    """Return the key of the fleet file for a key of another project, if it is known here."""
    meant = KEYS.get(name, "")
    return meant if meant in set(known) else ""


def value(place: Key, text: Any) -> str:
    """Return what somebody meant who wrote this text at a key; empty if it is not known."""
    if not isinstance(text, str):
        return ""
    if place[-1:] == ("provider",):
        return PROVIDERS.get(text.lower(), "")
    if place[-1:] == ("address",):
        found = re.match(r"[a-z]+://([^/:@\[\]]+)(:\d+)?/?$", text)
        return found[1] if found else ""
    is_login = "users" in place or "seats" in place
    return text.lower() if is_login and LOGIN.fullmatch(text.lower()) else ""


def number(value: Any) -> int | None:
    """Return the tokens of a number such as 128k, in powers of 1024 as windows have them."""
    found = THOUSANDS.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return None
    return int(found[1]) * (1024 if found[2] in "kK" else 1024**2)
