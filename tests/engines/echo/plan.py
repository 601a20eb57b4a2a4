"""Planning: one Echo for each model on a host, on its reserved GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mirrorfleet.config import EngineModel, Fleet, Secret
from mirrorfleet.engines.placement import assign, by_host
from mirrorfleet.planning.firewall_rules import EngineRule, FirewallRule, engine_clients
from mirrorfleet.planning.provenance import derived_from
from tests.engines.echo.model import EchoModel


@dataclass(frozen=True)
class EchoPlan:
    """The plan of one Echo."""

    engine: str = derived_from("models.{model}.engine")
    model: str = derived_from("models.{model}")
    listen: str = derived_from("hosts.{host}.address")
    port: int = derived_from("models.{model}.port")
    context: int = derived_from("models.{model}.context")
    voice: str = derived_from("models.{model}.voice", reason="soft, unless the file asks for more")
    devices: tuple[int, ...] = derived_from("models.{model}.reserved_gpus")
    api_key: Secret | None = derived_from("models.{model}.api_key")

    @property
    def service(self) -> str:
        return f"echo-{self.model}"

    @property
    def is_head(self) -> bool:
        return True

    @property
    def head_address(self) -> str:
        return self.listen

    @property
    def windows(self) -> Mapping[str, int]:
        return {self.model: self.context}

    @property
    def peers(self) -> tuple[str, ...]:
        return ()


def plans(fleet: Fleet) -> dict[str, tuple[EchoPlan, ...]]:
    """Return the plans by host."""
    found: dict[str, tuple[EchoPlan, ...]] = {}
    for name, models in by_host(fleet, EngineModel).items():
        host = fleet.hosts[name]
        for model, devices, _ in assign(models, host.gpus):
            if isinstance(model, EchoModel):
                plan = EchoPlan(
                    engine=model.engine,
                    model=model.name,
                    listen=host.address,
                    port=model.port,
                    context=model.context,
                    voice=model.voice,
                    devices=tuple(map(int, devices)),
                    api_key=model.api_key,
                )
                found[name] = (*found.get(name, ()), plan)
    return found


def rules(fleet: Fleet) -> Iterator[tuple[str, FirewallRule]]:
    """Yield hosts with firewall rules for their models."""
    if clients := engine_clients(fleet):
        for host, models in by_host(fleet, EchoModel).items():
            for model in models:
                yield host, EngineRule(model.name, model.port, clients)
