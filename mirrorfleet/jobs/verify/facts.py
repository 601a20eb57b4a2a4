"""What a service answers to the holder of its key."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

from mirrorfleet.runtime.facts import Fact, Lines, last
from mirrorfleet.runtime.facts.units import SHELL


@dataclass(frozen=True)
class KeyedAnswer(Fact[bytes | None]):
    """What a service answers to a GET with its key; ``None`` where it does not within 20 s.

    The key is the ``variable`` in the environment of the current generation below ``directory``.
    It is sent only if no other unit than ``unit`` listens on ``port``.
    """

    directory: str = field(compare=False)
    variable: str = field(compare=False)
    url: str
    unit: str = field(compare=False)
    port: int = field(compare=False)

    function = "keyed"
    shell = (SHELL, Path(__file__).parent / "keyed.sh")

    def value(self, lines: Lines) -> bytes | None:
        packed = last(lines)
        return None if packed is None else base64.b64decode(packed)
