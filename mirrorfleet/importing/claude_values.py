"""Values of Claude Code's settings, without the parts that the client ignores."""

from __future__ import annotations

from typing import Any

from mirrorfleet.config.claude_settings import release
from mirrorfleet.config.problems import Key
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.releases import CLAUDE


def once(draft: Draft, key: Key, value: Any, node: Node) -> None:
    """Take a value of a group, unless an earlier file or line has set this key."""
    before = draft.get(*key)
    if before is None:
        draft.put(key, value)
        draft.settle(node, key)
    elif before == value:
        draft.leave(node, "the same value again", Fate.FOLDED)
    else:
        draft.leave(node, "another file or line sets it already")


def valid(draft: Draft, name: str, node: Node, value: Any) -> Any:
    """Return a setting without the parts that the client ignores; ``None`` if none is left."""
    known = release(CLAUDE)
    for _ in range(50):
        found = next(iter(known.mistakes(name, value)), None) if known else None
        if found is None:
            return value
        path, mistake, _ = found
        if not path:
            break
        draft.leave(_below(node, path), mistake.rstrip("."))
        value = _without(value, path)
    draft.leave(node, "not a value that this setting can have")
    return None


def _below(node: Node, path: Key) -> Node:
    for part in path:
        inner = (
            node.list[part]
            if isinstance(part, int) and part < len(node.list)
            else node.items.get(str(part))
        )
        if inner is None:
            break
        node = inner
    return node


def _without(value: Any, path: Key) -> Any:
    """Return a copy of a value without what is at ``path``."""
    head, *rest = path
    if isinstance(value, dict):
        if not rest:
            return {name: each for name, each in value.items() if name != head}
        return {
            name: _without(each, tuple(rest)) if name == head else each
            for name, each in value.items()
        }
    if isinstance(value, list) and isinstance(head, int):
        items = [
            _without(each, tuple(rest)) if at == head and rest else each
            for at, each in enumerate(value)
        ]
        return items if rest else [each for at, each in enumerate(items) if at != head]
    return value
