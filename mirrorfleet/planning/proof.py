"""The proof of an engine: the abilities that it must show, and what is kept from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mirrorfleet.config import EngineModel, Fleet, ProviderModel
from mirrorfleet.config.key_holders import opens
from mirrorfleet.engines.abilities import Abilities, abilities, known_abilities
from mirrorfleet.engines.known import ThinkingArguments
from mirrorfleet.engines.registry import engine_of
from mirrorfleet.planning.provenance import derived_from
from mirrorfleet.planning.setting import group_key
from mirrorfleet.planning.settings import nested, settings

SEARCH, CAPABILITIES = "ENABLE_TOOL_SEARCH", "CLAUDE_CODE_MODEL_CAPABILITIES"

BY_SETTINGS, BY_GATEWAY = "by the clients' settings", "by the gateway"

MENDED = ("tool reference",)
"""What the gateway replaces for every model that is not Claude (mirrorfleet_mends.py)."""


@dataclass(frozen=True)
class ProofPlan:
    """What a new generation of an engine must take in a session of Claude Code.

    ``kept``: parts of a session that do not reach the engine, and what keeps them; the engine may
    be without them. ``sent_by``: the keys of the fleet file that send others. ``thinking``: what
    the gateway makes of thinking and effort; ``None`` if it passes them on.
    """

    abilities: Abilities = derived_from("models.{model}")
    thinking: ThinkingArguments | None = derived_from(
        "models.{model}.thinking", "models.{model}.family", reason="as the gateway sends it"
    )
    kept: Mapping[str, str] = derived_from(
        "developers", reason="the derived settings switch off what only Claude supports"
    )
    sent_by: Mapping[str, str] = derived_from("developers.*.settings")


@dataclass(frozen=True)
class RunningProof:
    """The proof of an engine that already runs."""

    model: str = derived_from("models.{model}")
    proof: ProofPlan = derived_from("models.{model}")


def running_proofs(fleet: Fleet) -> tuple[RunningProof, ...]:
    """Derive the proofs of all engines that already run."""
    return tuple(
        RunningProof(model.name, proof(fleet, model))
        for model in fleet.models.values()
        if not isinstance(model, ProviderModel) and model.url
    )


def proof(fleet: Fleet, model: EngineModel) -> ProofPlan:
    """Derive the proof of a model's engines."""
    sent = dict(_sent(fleet, model))
    thinking = engine_of(model).thinking_arguments(model, known_abilities(model).thinking.value)
    kept = {part: BY_GATEWAY if part in sent else BY_SETTINGS for part in MENDED}
    kept |= {part: BY_SETTINGS for part in ("system message",) if part not in sent}
    if thinking is None and "effort" not in sent:
        kept["effort"] = BY_SETTINGS
    return ProofPlan(
        abilities=abilities(model),
        thinking=thinking,
        kept=kept,
        sent_by={part: key for part, key in sent.items() if key and part not in kept},
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
