"""The fact of a service's canary."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorfleet.roles.proof.canary import PROGRAM
from mirrorfleet.runtime.canary import Canary
from mirrorfleet.runtime.facts import Fact, Lines, last
from mirrorfleet.runtime.facts.units import SHELL
from mirrorfleet.runtime.paths import ROOT

MORE = 30
"""Seconds after those of the session, in which its program ends."""


@dataclass(frozen=True)
class Measured(Fact[dict[str, Any]]):
    """The report of canary.py on a service; empty if the service does not run, or does not answer.

    The host sends the key only if no other unit than ``unit`` listens on ``port``.
    """

    seconds: int = field(compare=False)
    program: str = field(compare=False)
    unit: str = field(compare=False)
    port: int = field(compare=False)
    url: str = field(compare=False)
    spec: str = field(compare=False)
    directory: str

    function = "canary"
    shell = (SHELL, Path(__file__).parent / "canary.sh")

    def value(self, lines: Lines) -> dict[str, Any]:
        try:
            found = json.loads(base64.b64decode(last(lines) or ""))
        except ValueError:
            return {}
        return found if isinstance(found, dict) and isinstance(found.get("now"), dict) else {}


def fact(canary: Canary) -> Measured:
    """Return the fact of a service's canary."""
    return Measured(
        seconds=canary.seconds + MORE,
        program=PROGRAM,
        unit=f"mirrorfleet-{canary.service}.service",
        port=canary.port,
        url=f"{canary.url}:{canary.port}",
        spec=json.dumps(canary.spec),
        directory=f"{ROOT}/{canary.service}",
    )
