"""Values as YAML on one line, as a message shows them, and back."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from mirrorfleet.data import load_typed


def flow(value: Any) -> str:
    """Return a value as YAML on one line, as people write it: ``{hosts: [a], port: 80}``."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {flow(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    """Return whether a string needs no quotes in YAML, even in brackets. Releases get them."""
    if re.search(r"[\[\]{},]|: |:$| #|^\d+(\.\d+){1,2}$", text):
        return False
    return bool(as_yaml(text) == text)


def as_yaml(text: str) -> Any:
    """Return what a text means as a YAML document; ``None`` if it is not valid."""
    try:
        return load_typed(text)
    except yaml.YAMLError:
        return None
