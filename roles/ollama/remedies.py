"""Pure: the remedies for what an Ollama does not take in a session."""

from __future__ import annotations

from mirrorfleet.planning.proof import ProofPlan
from mirrorfleet.roles.proof.remedies import common


def remedies(name: str, plan: ProofPlan) -> dict[str, str]:
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
