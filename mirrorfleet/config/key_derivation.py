"""A developer's key: derived from one secret, so that whoever has that secret can make it again.

Nothing is stored: the same root, fleet, person and rotation give the same key on every controller.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from mirrorfleet.config.reader import Secret

PREFIX = "sk-mf-"
"""What every derived key begins with: one that has leaked is found by it."""

SHORTEST = 32
"""Characters of a root; random hexadecimal digits are 128 bits then."""


@dataclass(frozen=True)
class DerivedKey:
    """Whose key it is and what it is made from. It never holds the key itself.

    ``rotation`` are the numbers of the fleet, the group and the person: any other is another
    key.
    """

    root: Secret
    fleet: str
    person: str
    rotation: tuple[int, int, int]

    def __str__(self) -> str:
        numbers = ".".join(map(str, self.rotation))
        return f"{{key of {self.person}, rotation {numbers}, from {self.root}}}"

    def value(self, root: str) -> str:
        """Return the key: a keyed hash of whom it is for, of 256 bits."""
        purpose = json.dumps(["developer's key", self.fleet, self.person, *self.rotation])
        made = hmac.digest(root.encode(), purpose.encode(), "sha256")
        return PREFIX + urlsafe_b64encode(made).decode().rstrip("=")


Key = Secret | DerivedKey
"""Where a key comes from."""


def weakness(root: str) -> str:
    """Say why a root can be guessed, and so all keys with it; nothing where it seems random."""
    if len(root) < SHORTEST:
        return f"has {len(root)} characters, and {SHORTEST} are the least"
    if len(set(root)) < 10:
        return "has too few different characters"
    if root in (root + root)[1:-1]:
        return "repeats itself"
    if word := next((each for each in WORDS if each in root.lower()), ""):
        return f"holds the word '{word}'"
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
"""What stands in placeholders and in roots that were typed by hand."""
