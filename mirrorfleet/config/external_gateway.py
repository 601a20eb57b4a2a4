"""A gateway that already runs, whatever it is, and the models that it serves.

Mirrorfleet installs nothing there: clients get its address and their keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from mirrorfleet.config.abilities import ability_keys
from mirrorfleet.config.external import ExternalModel
from mirrorfleet.config.reader import Section


@dataclass(frozen=True)
class ExternalGateway:
    """``timeout`` is how long the gateway may take for an answer, in seconds."""

    url: str
    timeout: int


@dataclass(frozen=True, kw_only=True)
class GatewayModel(ExternalModel):
    """A model of an external gateway; ``url`` is the gateway's.

    ``claude``: it is Claude, so the client's own table of capabilities applies.
    """

    claude: bool = False


def external_gateway(section: Section) -> ExternalGateway:
    """Read ``gateway`` with ``external: true``."""
    return ExternalGateway(url=section["url"].rstrip("/"), timeout=section["timeout"])


def gateway_model(section: Section, url: str) -> GatewayModel:
    """Read one of ``models`` that has neither an engine nor a provider."""
    return GatewayModel(
        name=section.name,
        hosts=(),
        url=url,
        context=section["context"],
        output=section["output"],
        own_abilities=ability_keys(section),
        claude=section["claude"],
    )


def is_gateway_model(section: Section) -> bool:
    """Return whether one of ``models`` says only what the model is: the rest is the gateway's."""
    return not {"engine", "provider", "deployments"} & section.data.keys()
