"""Config: a model on Echo, as in the fleet file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mirrorfleet.config import EngineModel, Host
from mirrorfleet.config.hosts import chosen
from mirrorfleet.config.reader import Section

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["hosts", "context", "output", "api_key"],
    "additionalProperties": False,
    "description": "A model on Echo.",
    "properties": {
        "engine": True,
        "hosts": {"$ref": "#/$defs/hostNames"},
        "context": {"type": "integer", "minimum": 4096, "description": "Tokens of the window."},
        "output": {"type": "integer", "minimum": 256, "description": "Tokens of one answer."},
        "port": {"$ref": "#/$defs/port", "default": 8100},
        "voice": {"enum": ["soft", "loud"], "default": "soft", "description": "How it answers."},
        "reserved_gpus": {"type": "integer", "minimum": 0, "default": 0, "description": "GPUs."},
        "tools": {"type": "boolean", "default": True, "description": "Whether it calls tools."},
        "api_key": {"$ref": "#/$defs/secret", "description": "The key of the server."},
    },
}


@dataclass(frozen=True, kw_only=True)
class EchoModel(EngineModel):
    """A model on Echo."""

    engine: ClassVar[str] = "echo"

    port: int
    voice: str
    reserved_gpus: int
    tools: bool

    @property
    def gpus(self) -> int:
        return self.reserved_gpus


def read(section: Section, hosts: Mapping[str, Host]) -> EchoModel:
    """Return the model of a section of the fleet file."""
    return EchoModel(
        name=section.name,
        hosts=chosen(section, hosts),
        context=section["context"],
        output=section["output"],
        api_key=section.secret("api_key"),
        port=section["port"],
        voice=section["voice"],
        reserved_gpus=section["reserved_gpus"],
        tools=section["tools"],
    )
