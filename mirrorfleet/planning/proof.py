"""The proof of an engine: the abilities that it must show, and what is kept from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config import EngineModel, Fleet
from mirrorfleet.config.key_holders import opens
from mirrorfleet.engines.abilities import Abilities, abilities
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.setting import group_key
from mirrorfleet.planning.settings import nested, settings

SEARCH, CAPABILITIES = "ENABLE_TOOL_SEARCH", "CLAUDE_CODE_MODEL_CAPABILITIES"

BY_SETTINGS = "by the clients' settings"


@dataclass(frozen=True)
class ProofPlan:
    """What a new generation of an engine must take in a session of Claude Code.

    ``kept``: parts of a session that no client sends to the engine, and what keeps them; the engine
    may lack them. ``sent_by``: the keys of the fleet file that send others.
    """

    abilities: Abilities = derived_from("models.{model}")
    kept: Mapping[str, str] = derived_from(
        "developers", reason="the derived settings switch off what only Claude supports"
    )
    sent_by: Mapping[str, str] = derived_from("developers.*.settings")


def proof(fleet: Fleet, model: EngineModel) -> ProofPlan:
    """Derive the proof of a model's engines."""
    sent = dict(_sent(fleet, model))
    parts = ("tool reference", "system message", "effort")
    return ProofPlan(
        abilities=abilities(model),
        kept={part: BY_SETTINGS for part in parts if part not in sent},
        sent_by={part: key for part, key in sent.items() if key},
    )


def _sent(fleet: Fleet, model: EngineModel) -> Iterator[tuple[str, str]]:
    """Yield each part that a group sends to the model, and the key that makes it send the part."""
    for group in fleet.developers.values():
        if not opens(fleet, group, model) or not abilities(model).tools:
            continue
        environment = nested(settings(fleet, group)).get("env", {})
        disabled = _disabled(environment, model.name)
        if environment.get(SEARCH) != "false":
            yield "tool reference", group_key(group, f"settings.env.{SEARCH}")
        if "-mid_conv_system" not in disabled:
            yield "system message", group_key(group, f"settings.env.{CAPABILITIES}")
        if "-effort" not in disabled:
            yield "effort", ""


def _disabled(environment: Mapping[str, Any], model: str) -> list[str]:
    """Return the capabilities of the client that its settings disable for a model."""
    for entry in str(environment.get(CAPABILITIES, "")).split(";"):
        name, _, capabilities = entry.partition("=")
        if name == model.lower() or (name.endswith("*") and model.lower().startswith(name[:-1])):
            return capabilities.split(",")
    return []
