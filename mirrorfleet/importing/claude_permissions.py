"""Permissions of Claude Code's settings."""

from __future__ import annotations

import re

from mirrorfleet.config.problems import Key
from mirrorfleet.importing.claude_values import once
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.hidden import Hidden
from mirrorfleet.importing.nodes import Node

DIRECTORY = re.compile(r"/|~/|\.\./")

MODES = ("default", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions")


def permissions(draft: Draft, group: Key, node: Node) -> None:
    """Take the permissions of a file for the group at a key."""
    key = (*group, "permissions")
    for name, value in node.items.items():
        if name in ("allow", "ask", "deny"):
            for item in value.list:
                _rule(draft, (*key, name), item)
        elif name == "defaultMode" and value.text in MODES:
            once(draft, (*key, "default_mode"), value.text, value)
        elif name == "disableBypassPermissionsMode" and value.text == "disable":
            once(draft, (*key, "disable_bypass"), True, value)
        elif name == "additionalDirectories" and value.list:
            for item in value.list:
                if not DIRECTORY.match(item.text):
                    draft.leave(item, "a directory begins with /, ~/ or ../")
                _rule(draft, (*key, "additional_directories"), item)
    draft.leave(node, "is empty, or no permission that the fleet file has")


def _rule(draft: Draft, key: Key, item: Node) -> None:
    if draft.ledger.has(item):
        return
    before = draft.get(*key) or []
    if isinstance(item.value, Hidden):
        draft.secret(item, reason="not written: the rule contains a secret")
    elif not item.text:
        draft.leave(item, "is not a rule")
    elif item.text in before:
        draft.leave(item, "the same rule once more", Fate.FOLDED)
    else:
        draft.put(key, [*before, item.text])
        draft.settle(item, (*key, len(before)))
