"""Engines: Echo, with other values than the protocol's defaults wherever possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.abilities import NO_THINKING
from mirrorfleet.config.reader import Section
from mirrorfleet.engines.known import Known, KnownAbilities, assumed
from mirrorfleet.engines.placement import models_of
from mirrorfleet.engines.protocol import Engine, Listener
from tests.engines.echo.model import EchoModel, read


class Echo(Engine[EchoModel]):
    """Echo, as the protocol describes an engine."""

    name: ClassVar[str] = EchoModel.engine
    title: ClassVar[str] = "Echo"
    litellm_provider: ClassVar[str] = "hosted_vllm"
    api_path: ClassVar[str] = "/v1"
    alive_path: ClassVar[str] = "/alive"
    models_path: ClassVar[str] = "/voices"
    key_variable: ClassVar[str] = "ECHO_KEY"
    guards_all_paths: ClassVar[bool] = True
    metrics_path: ClassVar[str] = "/stats"

    def read(self, section: Section, hosts: Mapping[str, Host]) -> EchoModel:
        return read(section, hosts)

    def ports(self, fleet: Fleet) -> Mapping[tuple[str, str], int]:
        models = models_of(fleet, EchoModel)
        return {(model.name, host): model.port for model in models for host in model.hosts}

    def listeners(self, fleet: Fleet) -> Iterator[Listener]:
        for model in models_of(fleet, EchoModel):
            yield Listener(("models", model.name, "port"), model.name, model.hosts, model.port)

    def abilities(self, model: EchoModel) -> KnownAbilities:
        return KnownAbilities(
            tools=Known(model.tools, "a voice"),
            vision=assumed(False),
            documents=assumed(False),
            thinking=Known(NO_THINKING, "it only repeats"),
        )

    def missing_tools(self, model: EchoModel) -> str:
        return "which only repeats"

    def derived_parameters(self, model: EchoModel) -> Mapping[str, str]:
        return {"api_key": f"Write models.{model.name}.api_key."}

    def served_windows(self, answer: Mapping[str, Any]) -> dict[str, int | None]:
        return {str(voice): int(window) for voice, window in answer.get("voices", {}).items()}
