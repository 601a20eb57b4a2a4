"""The price of a model's tokens: given, or from what its GPUs cost and serve."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.reader import Section

MILLION = 1_000_000

CACHE_READ, OUTPUT = 0.1, 5.0
"""A token read from the prompt cache, and one of an answer, in tokens of the prompt.

Providers' prices have these ratios, and own engines need about as much time for them.
"""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens. ``input``: tokens of the prompt that no cache had."""

    input: float
    output: float
    cache_read: float
    cache_write: float


def price(section: Section) -> Price:
    """Read ``models.{model}.price``."""
    if "per_hour" in section:
        # What an hour costs, spread over all tokens of an hour.
        each = section["per_hour"] * MILLION / section["tokens_per_hour"]
        return Price(each, each * OUTPUT, each * CACHE_READ, each)
    given = section["input"]
    read, write = section.get("cache_read"), section.get("cache_write")
    return Price(
        given,
        section["output"],
        given if read is None else read,
        given if write is None else write,
    )
