"""The models that Claude Code's settings name: those of a gateway, else new ones."""

from __future__ import annotations

import re
from typing import Any

from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.litellm_names import resolved
from mirrorfleet.importing.releases import CLIENT_IDS

KEY_VARIABLE = "ANTHROPIC_API_KEY"

TIERS = {
    "opusplan": "opus",
    "best": "opus",
    "default": "sonnet",
    "claude-opus": "opus",
    "claude-sonnet": "sonnet",
}
"""Words of Claude Code for models, each with its tier."""


class Routes:
    """Finds the models of names. ``base``: the API of the clients, if no gateway serves them."""

    def __init__(self, draft: Draft, *, has_gateway: bool) -> None:
        self.draft, self.has_gateway = draft, has_gateway
        self.base = ""

    def first_model(self) -> str:
        """Return a model for a group that names none: the first, else Claude at its provider."""
        models = self.draft.data.get("models", {})
        found = next((name for name in models if "*" not in name), None)
        return found or self.find("sonnet") or self.find(CLIENT_IDS["sonnet"]) or "sonnet"

    def find(self, name: str) -> str | None:
        """Return a name that the gateway routes: it may become a model of Anthropic's API."""
        plain = name.removesuffix("[1m]").strip()
        tier = TIERS.get(plain, plain)
        if tier in CLIENT_IDS:
            return self._route_tier(tier)
        if resolved(self.draft, plain):
            return plain
        if self.has_gateway or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}", plain):
            return None
        model: dict[str, Any] = {"provider": "anthropic", "id": plain}
        if self.base:
            model["url"] = self.base
        self.draft.put(("models", plain), {**model, "api_key": {"env": KEY_VARIABLE}})
        return plain

    def _route_tier(self, tier: str) -> str | None:
        if resolved(self.draft, tier):
            return tier
        models = self.draft.data.get("models", {})
        name = next((each for each in models if tier in each.lower() and "*" not in each), None)
        if name is None and not self.has_gateway and not self.base:
            name = self.find(CLIENT_IDS[tier])
        if name is None:
            return None
        self.draft.choose(("aliases", tier), name, f"the model of the tier {tier}, by its name")
        return tier
