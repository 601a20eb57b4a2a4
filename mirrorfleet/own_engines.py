"""Engines from your own repository, besides the built-in ones.

Register an engine at the top of your inventory module, before the fleet file is read. Add its role
to a run with ``mirror(extra=[...])``. The commands of ``mirrorfleet`` do not load inventory
modules, so they do not support the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet import checks
from mirrorfleet.config import schema
from mirrorfleet.engines.protocol import Engine
from mirrorfleet.engines.registry import ENGINES
from mirrorfleet.planning.engines import PLANNERS, Planner


@dataclass(frozen=True)
class OwnEngine:
    """The parts of an engine that need no host.

    ``schema`` is the JSON schema of one of its models. Its properties must have the key ``engine``.
    It may refer to definitions of fleet.schema.json, for example ``#/$defs/hostNames``.
    ``check`` yields problems of values that fit the schema and cannot work.
    """

    engine: Engine[Any]
    schema: Mapping[str, Any]
    planner: Planner
    check: checks.Check = lambda fleet: iter(())


def register(own: OwnEngine) -> None:
    """Add an engine to the fleet file's language. Raise ``ValueError`` if its name is taken."""
    name = own.engine.name
    if name in ENGINES:
        raise ValueError(f"engine '{name}' is registered already: give yours another name")
    ENGINES[name] = own.engine
    PLANNERS[name] = own.planner
    checks.CHECKS.append(own.check)
    schema.add_engine(name, own.schema)
