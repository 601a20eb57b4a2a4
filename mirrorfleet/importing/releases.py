"""The releases that an imported fleet gets: those that Mirrorfleet proposes."""

from __future__ import annotations

from mirrorfleet.config.claude_settings import release
from mirrorfleet.data import proposed

LITELLM = proposed("litellm")
VLLM = proposed("vllm")
CLAUDE = proposed("claude")

KNOWN_CLAUDE = release(CLAUDE)
CLIENT_IDS = KNOWN_CLAUDE.ids if KNOWN_CLAUDE else {}
"""The model that this release of Claude Code requests by itself, by tier."""
