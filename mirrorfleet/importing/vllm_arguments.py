"""Options of vLLM that the fleet file has as they are, below `arguments`."""

from __future__ import annotations

import json
import re
from typing import Any

from mirrorfleet.importing.engine import Engine, Option
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.parts import Part


def inner_argument(found: Engine, option: Option, names: list[str], text: str) -> None:
    """Take an option such as --speculative-config.method: a key of another option's JSON."""
    inner = found.data.setdefault("arguments", {}).setdefault(names[0], {})
    for name in names[1:-1]:
        inner = inner.setdefault(name.replace("-", "_"), {}) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner[names[-1].replace("-", "_")] = argument(text)
        for word in option.words:
            found.parts.append(Part(word, ("arguments", *names)))
    else:
        for word in option.words:
            found.drop(word, f"--{names[0]} has a value already", Fate.OPEN)


def argument(text: str) -> Any:
    """Return the value of an option as the fleet file has it."""
    if text == "":
        return True
    if text.startswith(("{", "[")):
        try:
            parsed = json.loads(text)
        except ValueError:
            return text
        return parsed if isinstance(parsed, dict) else text
    if re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    return {"true": True, "false": False}.get(text.lower(), text)
