"""The gateways: LiteLLM, the same on every host listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fleet.section import Secret, Section
from fleet.spec.hosts import Host, chosen


@dataclass(frozen=True)
class Gateway:
    hosts: tuple[str, ...]
    version: str
    url: str | None
    port: int
    workers: int | Literal["auto"]
    max_requests_before_restart: int | None
    timeout: int
    master_key: Secret


def gateway(said: Section, hosts: Mapping[str, Host]) -> Gateway:
    master_key = said.secret("master_key")
    assert master_key, "the schema requires it"
    return Gateway(
        hosts=chosen(said, hosts),
        version=said["version"],
        url=said.get("url"),
        port=said.get("port", 4000),
        workers=said.get("workers", "auto"),
        max_requests_before_restart=said.get("max_requests_before_restart"),
        timeout=said.get("timeout", 600),
        master_key=master_key,
    )
