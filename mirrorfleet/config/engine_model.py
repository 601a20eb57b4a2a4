"""What every model has that an engine serves, whichever engine it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mirrorfleet.config.abilities import AbilityKeys
from mirrorfleet.config.reader import Secret

Task = Literal["embed", "rerank"]
"""What a pooling model does instead of answering, by vLLM's words."""

Device = int | str
"""A GPU: its index, or the UUID of a GPU (GPU-...) or of a MIG slice (MIG-...)."""


def device_name(device: Device) -> str:
    """Return the name of a GPU in messages."""
    return f"GPU {device}" if isinstance(device, int) else device


@dataclass(frozen=True, kw_only=True)
class EngineModel:
    """The base of the models of each engine; ``engine`` is its word in the fleet file.

    ``devices`` are the GPUs that the model names itself. A model with a ``task`` generates no text:
    its ``output`` is 0. ``api_key`` is the key that the engine asks for, ``None`` where it asks for
    none. A model of an engine that already runs has its ``url`` and no hosts; ``served_name`` is
    the name of the model there. ``own_abilities`` are the abilities that the file has for it.
    """

    engine: ClassVar[str]

    name: str
    hosts: tuple[str, ...]
    context: int
    output: int
    task: Task | None = None
    devices: tuple[Device, ...] | None = None
    api_key: Secret | None = None
    url: str | None = None
    served_name: str | None = None
    own_abilities: AbilityKeys = field(default_factory=AbilityKeys)

    @property
    def name_at_engine(self) -> str:
        """Return the name by which gateways ask the engine for the model."""
        return self.served_name or self.name

    @property
    def shared_devices(self) -> tuple[Device, ...]:
        """The GPUs that all models of its server use together."""
        return ()

    @property
    def takes_free_gpus(self) -> bool:
        """Whether its server uses the GPUs that no other model has."""
        return False

    @property
    def gpus(self) -> int:
        """How many GPUs of each host are for this model alone."""
        return 0

    @property
    def gpu_share(self) -> float | None:
        """The share of each GPU's memory that it takes; ``None``: it needs GPUs of its own."""
        return None

    @property
    def replicas(self) -> tuple[tuple[str, ...], ...]:
        """The hosts of each replica; the first one answers."""
        return tuple((host,) for host in self.hosts)

    @property
    def heads(self) -> tuple[str, ...]:
        """The hosts that answer."""
        return tuple(hosts[0] for hosts in self.replicas)
