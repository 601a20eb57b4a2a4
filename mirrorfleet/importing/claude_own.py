"""Settings of Claude Code that Mirrorfleet wrote: their groups, and the gateway that they use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mirrorfleet.config.compaction import ANSWER
from mirrorfleet.importing.draft import Draft, whole
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.sources import Source

DERIVED_ENV = {
    "CLAUDE_CODE_DISABLE_THINKING": None,
    "CLAUDE_CODE_MODEL_CAPABILITIES": None,
    "ENABLE_TOOL_SEARCH": "false",
}
DERIVED = {
    "availableModels": None,
    "disableAutoMode": "disable",
    "fallbackModel": None,
    "modelPricing": None,
}
"""What Mirrorfleet derives, and a fleet file can set too; with the value, if there is only one."""

WRITTEN = "Mirrorfleet derives it from the models"


def is_own(source: Source) -> bool:
    """Return whether Mirrorfleet wrote a file of settings."""
    helper = source.tree.get("apiKeyHelper")
    has_key_file = helper is not None and "mirrorfleet-key" in helper.text
    return has_key_file or source.name == "50-mirrorfleet.json"


def login(source: Source) -> str:
    """Return whose home directory a file is in; empty for a file of a whole machine."""
    found = re.search(r"/~([a-z_][a-z0-9_.-]*)/", str(source.path))
    return found[1] if found else ""


def directory(source: Source) -> str:
    """Return NAME of an isolated settings directory, ~USER/.claude-NAME."""
    found = re.fullmatch(r"\.claude-([a-z0-9][a-z0-9-]*)", source.path.parent.name)
    return found[1] if found else ""


class Names:
    """The names of groups: those of the gateways' keys, else one for each content.

    ``members`` are the groups of people, by their logins.
    """

    def __init__(self, members: Mapping[str, str]) -> None:
        self._members = members
        self._contents: dict[str, str] = {}

    def of(self, source: Source) -> str:
        """Return the group of one file of Mirrorfleet's."""
        known = directory(source) or self._members.get(login(source), "")
        if known:
            return known
        content = json.dumps(source.tree.plain, sort_keys=True, default=str)
        number = len(self._contents) + 1
        name = "developers" if number == 1 else f"developers-{number}"
        return self._contents.setdefault(content, name)


def derived(draft: Draft, tree: Node) -> None:
    """Give the settings that Mirrorfleet derives their fates."""
    env = tree.get("env")
    for names, section in ((DERIVED_ENV, env), (DERIVED, tree)):
        for name, value in names.items():
            node = section.get(name) if section else None
            if node is not None and value in (None, node.text):
                draft.leave(node, WRITTEN, Fate.DERIVED)


def external(draft: Draft, sources: Iterable[Source]) -> None:
    """Take the gateway of clients whose gateway is not in the input: it runs elsewhere.

    A client's settings have the window of the model that a session starts with, and only the names
    of the others.
    """
    trees = [source.tree for source in sources if is_own(source)]
    for tree in trees:
        url = tree.get("env", "ANTHROPIC_BASE_URL")
        if url is not None and url.text and draft.get("gateway", "external") is None:
            draft.put(("gateway", "external"), True)
            draft.take(url, ("gateway", "url"), url.text)
    if draft.get("gateway", "external") is None:
        return
    for tree in trees:
        _session_model(draft, tree)
    for tree in trees:
        available = tree.get("availableModels")
        for node in available.list if available else ():
            if node.text and draft.get("models", node.text) is None:
                draft.put(("models", node.text), _abilities(tree, node.text))
                draft.need(("models", node.text, "context"), 65536, "the context window in tokens")
                draft.need(("models", node.text, "output"), 8192, "the longest answer in tokens")
    for tree in trees:
        _fallback(draft, tree)


def _session_model(draft: Draft, tree: Node) -> None:
    name = tree.get("model")
    window = tree.get("env", "CLAUDE_CODE_MAX_CONTEXT_TOKENS")
    output = tree.get("env", "CLAUDE_CODE_MAX_OUTPUT_TOKENS")
    if not (name and window and output) or draft.get("models", name.text) is not None:
        return
    tokens, longest = whole(window, 1), whole(output, 1)
    if tokens is None or longest is None:
        return
    # The client gets the window without the part of the answer that it does not reserve.
    context = tokens + max(0, longest - ANSWER)
    draft.put(("models", name.text), {"context": context, "output": longest})
    draft.get("models", name.text).update(_abilities(tree, name.text))
    draft.settle(window, ("models", name.text, "context"))
    draft.settle(output, ("models", name.text, "output"))


def _abilities(tree: Node, name: str) -> dict[str, Any]:
    """Return what a model is able to, from the client's table of capabilities."""
    node = tree.get("env", "CLAUDE_CODE_MODEL_CAPABILITIES")
    table = dict(each.partition("=")[::2] for each in (node.text if node else "").split(";"))
    if name not in table:
        return {"claude": True}
    return {"thinking": True} if "-rejects_disabled_thinking" in table[name] else {}


def _fallback(draft: Draft, tree: Node) -> None:
    name, others = tree.get("model"), tree.get("fallbackModel")
    if name is None or others is None or not others.list:
        return
    if draft.get("fallbacks", name.text) is None:
        names = [node.text for node in others.list if draft.get("models", node.text) is not None]
        draft.put(("fallbacks", name.text), names)
        draft.settle(others, ("fallbacks", name.text))
    else:
        draft.leave(others, f"the same as fallbacks.{name.text}", Fate.FOLDED)
