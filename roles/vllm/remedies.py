"""Pure: the remedies for what a vLLM does not take in a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mirrorfleet.planning.proof import ProofPlan
from mirrorfleet.roles.proof.remedies import common


def remedies(name: str, plan: ProofPlan, arguments: Mapping[str, Any]) -> dict[str, str]:
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
