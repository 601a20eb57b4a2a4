"""External: a server of any kind that already runs and speaks OpenAI's API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from mirrorfleet.config import Fleet, Host
from mirrorfleet.config.abilities import NO_THINKING
from mirrorfleet.config.external import ExternalModel, external
from mirrorfleet.config.external_gateway import GatewayModel
from mirrorfleet.config.reader import Section
from mirrorfleet.engines.known import CLAUDE, KnownAbilities, assumed
from mirrorfleet.engines.protocol import Engine, Listener


class External(Engine[ExternalModel]):
    name: ClassVar[str] = ExternalModel.engine
    title: ClassVar[str] = "External engine"
    # LiteLLM's name for any server that speaks /v1/chat/completions.
    litellm_provider: ClassVar[str] = "hosted_vllm"
    api_path: ClassVar[str] = "/v1"
    alive_path: ClassVar[str] = "/v1/models"
    tools_fix: ClassVar[str] = "Start the server with tool calls"

    def read(self, section: Section, hosts: Mapping[str, Host]) -> ExternalModel:
        """Read a model."""
        return external(section)

    def ports(self, fleet: Fleet) -> Mapping[tuple[str, str], int]:
        """Return nothing: it runs on no host of the fleet."""
        return {}

    def listeners(self, fleet: Fleet) -> Iterator[Listener]:
        """Yield nothing: it runs on no host of the fleet."""
        return iter(())

    def abilities(self, model: ExternalModel) -> KnownAbilities:
        """Return no thinking: servers differ in what enables it, and LiteLLM removes it.

        A model of an external gateway that is Claude has what Claude has.
        """
        if isinstance(model, GatewayModel) and model.claude:
            return CLAUDE
        return replace(super().abilities(model), thinking=assumed(NO_THINKING))

    def derived_parameters(self, model: ExternalModel) -> Mapping[str, str]:
        """Return what the gateway needs for the server's key."""
        return {"api_key": f"Write models.{model.name}.api_key."}
