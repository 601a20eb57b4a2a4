"""What is killed: the commands of real operations, on a host that has something before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api.command import PyinfraCommand

from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation
from tests.kills.world import Host


@dataclass(frozen=True)
class Case:
    """A run of some operations on one host.

    A run reads ``facts`` and takes ``commands``. ``prepare`` makes the state before it. ``start``
    starts on each host the ``server`` to which the run talks, and ``state`` returns what it has,
    beside files. Paths of ``ignored`` are not compared: relative to the root. A run of a case that
    ``fails`` must fail, and leave the state before it.
    """

    name: str
    facts: Sequence[Fact[Any]]
    commands: Callable[[Observation], Iterable[PyinfraCommand]]
    prepare: Callable[[Host], object] = lambda host: None
    start: Callable[[Host], object] = lambda host: None
    state: Callable[[Host], str] = lambda host: ""
    ignored: Sequence[str] = field(default=())
    server: str = ""
    fails: bool = False
