"""What services of an input start."""

from __future__ import annotations

from dataclasses import dataclass, field

from mirrorfleet.importing.engine import Engine, Option
from mirrorfleet.importing.nodes import Node


@dataclass
class Found:
    """What services start. ``variables`` and ``arguments`` are those of LiteLLM's process.

    ``addresses``: those on which gateways listen, by host. ``own_entries``: the entries of
    model_list that Mirrorfleet wrote.
    """

    engines: list[Engine] = field(default_factory=list)
    variables: list[tuple[str, Node]] = field(default_factory=list)
    arguments: list[Option] = field(default_factory=list)
    gateway_hosts: list[str] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    image: str | None = None
    own_entries: list[Node] = field(default_factory=list)

    def add_gateway(self, host: str) -> None:
        """Add the host of a gateway, if it is known."""
        if host and host not in self.gateway_hosts:
            self.gateway_hosts.append(host)
