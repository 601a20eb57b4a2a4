"""Pure: the record of a ring on each of its hosts: what was proved, when and by whom, or failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mirrorfleet.runtime.facts import Content
from mirrorfleet.runtime.paths import STATE

PATH = f"{STATE}/ring.json"
FACT = Content(PATH)


@dataclass(frozen=True)
class Run:
    """The run that asked: its time (UTC), person, revision of the fleet file, and release."""

    at: str = ""
    by: str = ""
    revision: str = ""
    release: str = ""


@dataclass(frozen=True)
class Proof:
    """A ring that was proved by ``asked``, a developer on a machine.

    ``through`` are the gateways that answered, or the address. ``seconds`` has the time of an
    answer of each model. ``clients`` and ``gateway`` are releases; ``generations`` and ``engines``
    are the generations that ran, by host and by service.
    """

    run: Run = Run()
    asked: str = ""
    through: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    clients: tuple[str, ...] = ()
    gateway: str = ""
    generations: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A ring that went back after ``asked`` found the cause; "" if nothing could ask."""

    run: Run = Run()
    asked: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Record:
    """``state`` identifies what was proved of this host. ``failed``: the last run, if it failed."""

    ring: str = ""
    state: str = ""
    proved: Proof | None = None
    failed: Failure | None = None

    def text(self) -> str:
        """Return the file's content."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read(content: bytes | None) -> Record:
    """Return the record in a file; an empty one for no file, or another file."""
    try:
        found = json.loads(content or b"{}")
        proved, failed = found.get("proved"), found.get("failed")
        return Record(
            str(found.get("ring", "")),
            str(found.get("state", "")),
            _proof(proved) if proved else None,
            Failure(**{**failed, "run": Run(**failed["run"])}) if failed else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Record()


def _proof(found: dict[str, Any]) -> Proof:
    lists = {name: tuple(found[name]) for name in ("through", "clients")}
    return Proof(**{**found, **lists, "run": Run(**found["run"])})
