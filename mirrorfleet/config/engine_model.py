"""What every model has that an engine serves, whichever engine it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mirrorfleet.config.abilities import AbilityKeys
from mirrorfleet.config.reader import Secret


@dataclass(frozen=True, kw_only=True)
class EngineModel:
    """The base of the models of each engine; ``engine`` is its word in the fleet file.

    ``devices`` are the GPU indices that the model names itself. ``api_key`` is the key that the
    engine asks for, ``None`` where it asks for none. A model of an engine that already runs has its
    ``url`` and no hosts; ``served_name`` is the name of the model there. ``own_abilities`` are the
    abilities that the file has for it.
    """

    engine: ClassVar[str]

    name: str
    hosts: tuple[str, ...]
    context: int
    output: int
    devices: tuple[int, ...] | None = None
    api_key: Secret | None = None
    url: str | None = None
    served_name: str | None = None
    own_abilities: AbilityKeys = field(default_factory=AbilityKeys)

    @property
    def name_at_engine(self) -> str:
        """Return the name by which gateways ask the engine for the model."""
        return self.served_name or self.name

    @property
    def gpus(self) -> int:
        """How many GPUs of each host are for this model alone."""
        return 0

    @property
    def replicas(self) -> tuple[tuple[str, ...], ...]:
        """The hosts of each replica; the first one answers."""
        return tuple((host,) for host in self.hosts)

    @property
    def heads(self) -> tuple[str, ...]:
        """The hosts that answer."""
        return tuple(hosts[0] for hosts in self.replicas)
