"""Pure: what the proof of an engine recorded when its generation, or its model, was new."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirrorfleet.planning import EnginePlan
from mirrorfleet.runtime.facts import Fact, Lines, last
from mirrorfleet.runtime.paths import ROOT

STATES = ("ok", "mended", "warning", "not reported")
"""The states of the parts of a proof, in the order of a summary. "not asked" is none of them."""


@dataclass(frozen=True)
class Part:
    """A part of a proof: its name, its state and a note."""

    item: str
    state: str
    note: str


@dataclass(frozen=True)
class Proof:
    """The parts of a model's proof; none if the engine served before there was a proof."""

    model: str
    parts: tuple[Part, ...] = ()

    @property
    def summary(self) -> str:
        """The number of parts in each state, as in "7 ok, 1 mended"; "not recorded" without one."""
        counted = Counter(part.state for part in self.parts)
        return ", ".join(f"{counted[state]} {state}" for state in STATES if counted[state]) or (
            "not recorded"
        )

    def details(self) -> Iterator[str]:
        """Yield the parts that are not simply ok, and the hit rate of the prefix cache."""
        for part in self.parts:
            if part.state not in ("ok", "not asked") or (part.item == "prompt cache" and part.note):
                yield f"{part.item} {part.state}{', ' if part.note else ''}{part.note}"


@dataclass(frozen=True)
class RecordedProofs(Fact[Mapping[str, Any]]):
    """The records of a service in ``directory``, by model."""

    directory: str

    function = "proofs"
    shell = (Path(__file__).parent / "proofs.sh",)

    def value(self, lines: Lines) -> Mapping[str, Any]:
        try:
            found = json.loads(base64.b64decode(last(lines) or ""))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def fact(engine: EnginePlan) -> RecordedProofs:
    """Return the fact of an engine's recorded proofs."""
    return RecordedProofs(f"{ROOT}/{engine.service}")


def proof(model: str, recorded: Any) -> Proof:
    """Return the proof in a record; without parts if there is none, or an unreadable one."""
    try:
        parts = tuple(
            Part(str(each["item"]), str(each["state"]), str(each["note"]))
            for each in recorded["outcomes"]
        )
    except (KeyError, TypeError):
        parts = ()
    return Proof(model, parts)
