"""The names that a gateway serves, as `names.json` lists them, and ids of Claude besides them.

Agents' files, skills and other clients request ids such as claude-haiku-4-5-20251001. No model of
the fleet has this name, so LiteLLM would refuse it. The model that the group of the key has for the
tier in the id answers instead, under its own name: so fallbacks, limits and the check of the key
apply to the model that gets the request.

    {"served": ["coder", "haiku"], "without_web_search": ["coder"], "searching": [],
     "tiers": {"haiku": "helper"}, "groups": {"small": {"haiku": "coder"}}}

`searching` are the models that search the web without the gateway's search service. `groups` has
only the groups whose tiers differ. Without `tiers` and `groups`, no id is renamed.
"""

from __future__ import annotations

import json
import logging
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter

if TYPE_CHECKING:
    from mirrorfleet.roles.litellm.files.mirrorfleet_clients import OPENAI
    from mirrorfleet.roles.litellm.files.mirrorfleet_key_file import Key, Refused
else:
    from mirrorfleet_clients import OPENAI
    from mirrorfleet_key_file import Key, Refused

log = logging.getLogger("LiteLLM Proxy")  # LiteLLM's own: the same level and JSON format

RENAMED_REQUESTS = Counter(
    "mirrorfleet_requests_renamed",
    "Requests for an id of Claude that the fleet does not serve, answered by the tier's model",
    ["tier", "model"],
)

TURN = "/v1/messages"
TURNS = frozenset({TURN, "/v1/messages/count_tokens", "/v1/chat/completions", "/v1/responses"})
"""Paths whose models can be renamed."""

NO_WEB_SEARCH = (
    "web_search: WebSearch is not available with the model {model}. It cannot search the web "
    "itself, and this gateway has no search service. Report to the user that the operator of the "
    "fleet can add one: gateway.web_search in the fleet file. WebFetch can read a page whose "
    "address is known."
)
"""The error for the model that called WebSearch: the client shows it as the tool's result."""

_logged: set[str] = set()
"""Ids whose model is in the log already."""


class Names:
    """The content of names.json."""

    def __init__(self, content: dict[str, Any]) -> None:
        served: list[str] = content["served"]
        self._served = frozenset(served)
        self._patterns = [name for name in served if "*" in name]
        self._without_web_search = frozenset(content["without_web_search"])
        self._searching = frozenset(content["searching"])
        self._tiers: dict[str, str] = content["tiers"]
        self._groups: dict[str, dict[str, str]] = content["groups"]

    def prepare(self, body: dict[str, Any], path: str, key: Key) -> None:
        """Rename the model of a developer's request if necessary. Raises ``Refused``."""
        if path in TURNS:
            body["model"] = self._renamed(body["model"], key)
        if path in OPENAI and ("," in body["model"] or not self._is_served(body["model"])):
            # LiteLLM sends a chat to each name of "coder,coder", and takes the names of its
            # deployments, which have no limits.
            raise Refused(400, f"model: {body['model'][:100]!r} is not served. See /v1/models.")
        if path == TURN and body["model"] in self._without_web_search and _searches(body):
            raise Refused(400, NO_WEB_SEARCH.format(model=body["model"]))

    def searches_itself(self, name: str) -> bool:
        """Return whether a model searches the web without the gateway's search service."""
        return name in self._searching

    def _renamed(self, name: str, key: Key) -> str:
        """Return the model for an id of Claude; any other name is returned unchanged."""
        tiers = self._groups.get(key.group, self._tiers)
        tier = _tier(name, tiers)
        if tier is None or self._is_served(name):
            return name
        model = tiers[tier]
        if key.models and model not in key.models:
            return name  # LiteLLM refuses it
        RENAMED_REQUESTS.labels(tier, model).inc()
        if name not in _logged and len(_logged) < 100:
            _logged.add(name)
            log.error("mirrorfleet: %s answers requests for %r (%s)", model, name, tier)
        return model

    def _is_served(self, name: str) -> bool:
        return name in self._served or any(fnmatchcase(name, each) for each in self._patterns)


def _tier(name: str, tiers: dict[str, str]) -> str | None:
    """Return the tier in an id of Claude: the one word of it that is a tier."""
    if len(name) > 100:
        return None
    words = set(re.split("[^a-z]+", name.lower()))
    found = words.intersection(tiers)
    return found.pop() if "claude" in words and len(found) == 1 else None


def _searches(body: dict[str, Any]) -> bool:
    """Return whether a request has Anthropic's own web search among its tools."""
    tools = body.get("tools")
    return isinstance(tools, list) and any(
        isinstance(tool, dict) and str(tool.get("type", "")).startswith("web_search_")
        for tool in tools
    )


names = Names(json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8")))
