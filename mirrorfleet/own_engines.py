"""Engines from your own repository, besides the built-in ones.

Register an engine at the top of your inventory module, before the fleet file is read. Every deploy
then knows the engine and its role. The commands of ``mirrorfleet`` do not load inventory modules,
so they do not support the engine.
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
from mirrorfleet.roles import registry
from mirrorfleet.runtime.service_role import ServiceRole


@dataclass(frozen=True)
class OwnEngine:
    """An engine: the parts that need no host, and its role.

    ``schema`` is the JSON schema of one of its models. Its properties must have the key ``engine``.
    It may refer to definitions of fleet.schema.json, for example ``#/$defs/hostNames``.
    ``role`` manages its services, with ``part = "engines"``.
    ``check`` yields problems of values that fit the schema and cannot work.
    """

    engine: Engine[Any]
    schema: Mapping[str, Any]
    planner: Planner
    role: ServiceRole[Any]
    check: checks.Check = lambda fleet: iter(())


def register(own: OwnEngine) -> None:
    """Add an engine to the fleet file's language, and its role to every deploy.

    Raises ``ValueError`` if the name or the role is registered already.
    """
    name = own.engine.name
    if name in ENGINES:
        raise ValueError(f"engine '{name}' is registered already: give yours another name")
    if own.role.part != "engines":
        raise ValueError(f"the role of engine '{name}' has no part = 'engines': add it")
    registry.register(own.role)
    ENGINES[name] = own.engine
    PLANNERS[name] = own.planner
    checks.CHECKS.append(own.check)
    schema.add_engine(name, own.schema)
