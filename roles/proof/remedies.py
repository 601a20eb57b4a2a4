"""Pure: what a host expects of an engine's session, with the remedy for each failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mirrorfleet.engines.protocol import Engine
from mirrorfleet.planning.proof import ProofPlan
from mirrorfleet.roles.litellm.files.mirrorfleet_thinking import translated


def expectations(plan: ProofPlan, remedies: Mapping[str, str]) -> dict[str, Any]:
    """Return the abilities, what is kept, and the remedies, as session.py reads them."""
    return {
        "tools": plan.abilities.tools,
        "vision": plan.abilities.vision,
        "thinking": plan.abilities.thinking.mode,
        "turns": _turns(plan),
        "kept": dict(plan.kept),
        "remedies": dict(remedies),
    }


ADAPTIVE = {"type": "adaptive"}


def _turns(plan: ProofPlan) -> dict[str, Any]:
    """Return the parameters of turns with and without thinking, and with each level of effort."""
    levels = plan.abilities.thinking.efforts
    with_level = {
        level: {"thinking": ADAPTIVE, "output_config": {"effort": level}} for level in levels
    }
    return {
        "on": _sent(plan, {"thinking": ADAPTIVE}),
        "off": _sent(plan, {"thinking": {"type": "disabled"}}),
        "efforts": {level: _sent(plan, request) for level, request in with_level.items()},
    }


def _sent(plan: ProofPlan, request: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a client's request as the gateway sends them to the engine."""
    if plan.thinking is None:
        return request
    changed = translated(asdict(plan.thinking), request)
    return {key: value for key, value in {**request, **changed}.items() if value is not None}


def common(name: str, plan: ProofPlan) -> dict[str, str]:
    """Return the remedies that do not depend on the engine, for the model ``name``."""
    found = {
        part: f"Remove {key}: without it, clients send none."
        for part, key in plan.sent_by.items()
        if part != "effort"
    }
    return {
        "image": f"If these weights do not read images, set models.{name}.vision: false.",
        "thinking on": f"If these weights do not think, set models.{name}.thinking: false.",
        "thinking off": f"Set models.{name}.thinking: {{mode: always}}.",
        "still thinks": (
            f"Set models.{name}.thinking: {{mode: always}}, or in thinking.disabled the arguments "
            "of its chat template that turn thinking off."
        ),
        "effort": f"Remove these levels from models.{name}.thinking.efforts.",
        **found,
    }


def running(name: str, plan: ProofPlan, engine: Engine[Any]) -> dict[str, str]:
    """Return the remedies for an engine that already runs, which Mirrorfleet does not start."""
    template = "Start it with a chat template that takes it."
    parser = f"{engine.tools_fix}: the parser of these weights."
    return {
        "call": parser,
        "stream": f"{engine.tools_fix} of a parser that reads streams, as Claude Code does.",
        "stop": parser,
        "tool call": parser,
        "tool result": template,
        "tool reference": template,
        "system message": template,
        **common(name, plan),
        "thoughts": "Start it with the reasoning parser of these weights.",
        "cache off": "Start it with its prefix cache.",
        "cache block": "Start it with smaller blocks of its cache.",
        "prompt cache": "Look in its log for what disables the prefix cache.",
    }
