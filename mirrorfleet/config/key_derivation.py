"""Derive developers' keys from one secret, the root.

No key is stored: the same root, fleet, person and rotation give the same key on every controller.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from mirrorfleet.config.reader import Secret

PREFIX = "sk-mf-"
"""Prefix of every derived key, for finding leaked ones."""

SHORTEST = 32
"""Least characters of a root. As random hexadecimal digits, they have 128 bits."""


@dataclass(frozen=True)
class DerivedKey:
    """The person of a key and its sources, never the key itself.

    ``rotation`` has the numbers of fleet, group and person; another number gives another key.
    """

    root: Secret
    fleet: str
    person: str
    rotation: tuple[int, int, int]

    def __str__(self) -> str:
        numbers = ".".join(map(str, self.rotation))
        return f"{{key of {self.person}, rotation {numbers}, from {self.root}}}"

    def value(self, root: str) -> str:
        """Return the key: a keyed hash (HMAC-SHA256) of fleet, person and rotation."""
        purpose = json.dumps(["developer's key", self.fleet, self.person, *self.rotation])
        made = hmac.digest(root.encode(), purpose.encode(), "sha256")
        return PREFIX + urlsafe_b64encode(made).decode().rstrip("=")


Key = Secret | DerivedKey
"""The source of a key."""


def weakness(root: str) -> str:
    """Return why a root, and every key with it, can be guessed; "" if it seems random."""
    if len(root) < SHORTEST:
        return f"is {len(root)} characters long; the minimum is {SHORTEST}"
    if len(set(root)) < 10:
        return "has too few different characters"
    if root in (root + root)[1:-1]:
        return "consists of a repeated part"
    if word := next((each for each in WORDS if each in root.lower()), ""):
        return f"contains the word '{word}'"
    return ""


WORDS = (
    "change",
    "example",
    "mirrorfleet",
    "password",
    "replace",
    "secret",
    "0123456789",
    "abcdef",
)
"""Words of placeholders and of roots that were typed by hand."""
