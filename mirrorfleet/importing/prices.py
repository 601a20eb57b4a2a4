"""Prices of LiteLLM's models, in US dollars per token: the fleet file's, per million tokens."""

from __future__ import annotations

import re

from mirrorfleet.config.price import MILLION
from mirrorfleet.importing.draft import is_plain
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.parts import Part, Piece

KEYS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
}
"""LiteLLM's names of the prices that the fleet file has, each with the key of ``price``."""

MOST = 1000
"""The highest price of a million tokens that the fleet file can have."""


def take(found: Piece, parameters: Node, information: Node | None) -> None:
    """Take the price of an entry, from its parameters before its model_info.

    The fleet file needs the prices of the prompt and of the answer: without both, nothing is taken.
    """
    sections = [section for section in (parameters, information) if section]
    for section in sections:
        price = {
            key: per_token * MILLION
            for name, key in KEYS.items()
            if (per_token := cost(name, section.items.get(name))) is not None
        }
        if {"input", "output"} <= price.keys() and max(price.values()) <= MOST:
            _take(found, section, {key: _rounded(each) for key, each in price.items()})
            break
    else:
        return
    for other in sections:
        for name in KEYS.keys() & other.items.keys():
            if all(part.node is not other.items[name] for part in found.parts):
                found.drop(other.items[name], "the price is taken from another place", Fate.FOLDED)


def _take(found: Piece, section: Node, price: dict[str, float]) -> None:
    for name, key in KEYS.items():
        if key not in price:
            continue
        if key.startswith("cache_") and price[key] == price["input"]:
            reason = "the price of the prompt, which is the default"
            found.drop(section.items[name], reason, Fate.DERIVED)
            del price[key]
        else:
            found.parts.append(
                Part(section.items[name], ("price", key), reason="per million tokens")
            )
    found.model["price"] = price


def cost(name: str, node: Node | None) -> float | None:
    """Return what a value costs in dollars; ``None`` if its name is none of a cost, or it is none.

    YAML 1.1 reads `5e-07` as text, and people quote it too.
    """
    text = node.text.strip() if node and "cost" in name else ""
    if not re.fullmatch(r"\d*\.?\d+(?:[eE][-+]?\d{1,2})?", text):
        return None
    return float(text) if is_plain(float(text)) else None


def _rounded(price: float) -> float:
    """Return a price without the inexact last digits of a product of floating-point numbers."""
    found = float(f"{price:.12g}")
    return int(found) if found == int(found) else found
