"""Engines that Mirrorfleet does not know, from a repository of your own.

Register one at the top of your inventory module, before the fleet file is read. Its role takes
part in a run as ``mirror(extra=[...])``. The commands of ``mirrorfleet`` read no inventory module:
they do not know the engine.
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
    """All that an engine is before a run touches a host.

    ``schema`` is the JSON schema of one of its models, with the key ``engine`` among its
    properties. It may refer to definitions of fleet.schema.json, such as ``#/$defs/hostNames``.
    ``check`` yields what fits that schema and cannot work.
    """

    engine: Engine[Any]
    schema: Mapping[str, Any]
    planner: Planner
    check: checks.Check = lambda fleet: iter(())


def register(own: OwnEngine) -> None:
    """Let fleet files name an engine. Raises ``ValueError`` if one has that name already."""
    name = own.engine.name
    if name in ENGINES:
        raise ValueError(f"engine '{name}' is registered already: give yours another name")
    ENGINES[name] = own.engine
    PLANNERS[name] = own.planner
    checks.CHECKS.append(own.check)
    schema.add_engine(name, own.schema)
