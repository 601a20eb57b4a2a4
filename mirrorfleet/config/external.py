"""Models of other servers that already run and speak OpenAI's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mirrorfleet.config.engine_model import EngineModel
from mirrorfleet.config.reader import Section
from mirrorfleet.config.running import common


@dataclass(frozen=True, kw_only=True)
class ExternalModel(EngineModel):
    """A model of a server of any kind."""

    engine: ClassVar[str] = "external"


def external(section: Section) -> ExternalModel:
    """Read one of ``models`` with ``engine: external``."""
    return ExternalModel(**common(section))
