"""Pure: what a host is told to expect of an engine's session, with the remedy for each failure."""

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


def vllm(name: str, plan: ProofPlan, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the remedies for a vLLM that Mirrorfleet starts with these ``arguments``."""
    template = f"Set a template that takes it: models.{name}.arguments: {{chat-template: PATH}}."
    key = f"models.{name}.arguments"
    limits = [each for each in ("limit-mm-per-prompt", "language-model-only") if each in arguments]
    off = "enable-prefix-caching" if "enable-prefix-caching" in arguments else ""
    blocks = [each for each in ("block-size", "mamba-block-size") if each in arguments]
    found = {
        "tool result": template,
        "tool reference": template,
        "system message": template,
        **common(name, plan),
        "thoughts": f"Set models.{name}.reasoning_parser, or its family, to separate thinking.",
        "cache off": (
            f"Remove {off} from {key}."
            if off
            else "vLLM has no prefix cache for this architecture: choose other weights."
        ),
        "cache block": (
            f"Remove {' and '.join(blocks)} from {key}."
            if blocks
            else f"Set a smaller block: {key}: {{mamba-block-size: 1024}}."
        ),
        "prompt cache": (
            f"journalctl -u mirrorfleet-vllm-{name} | grep -i prefix shows what disables it: "
            f"remove that from {key}."
        ),
    }
    if limits:
        found["image"] = f"Remove {' and '.join(limits)} from {key}."
    return found


def ollama(name: str, plan: ProofPlan) -> dict[str, str]:
    """Return the remedies for a model of an Ollama that Mirrorfleet starts."""
    weights = f"Choose other models.{name}.weights, with a template that takes it."
    parser = f"Choose other models.{name}.weights, whose tool calls this release of Ollama parses."
    return {
        "call": parser,
        "stream": parser,
        "stop": parser,
        "tool call": parser,
        "tool result": weights,
        "tool reference": weights,
        "system message": weights,
        **common(name, plan),
        "thoughts": f"Choose other models.{name}.weights, whose template separates thinking.",
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
        "cache off": "Start it with its prefix cache: without --no-enable-prefix-caching.",
        "cache block": "Start it with smaller blocks of its cache.",
        "prompt cache": "Look in its log for what disables the prefix cache.",
    }
