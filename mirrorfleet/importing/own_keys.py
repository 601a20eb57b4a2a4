"""keys.json and clients.json of a gateway: who has a key, for what, and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mirrorfleet.config.problems import Key
from mirrorfleet.importing.draft import Draft
from mirrorfleet.importing.fates import Fate
from mirrorfleet.importing.nodes import Node
from mirrorfleet.importing.sources import Source


def groups(sources: Iterable[Source]) -> dict[str, str]:
    """Return the groups of people, by their names."""
    pairs = ((key.get("name"), key.get("group")) for key in _keys(sources))
    return {name.text: group.text for name, group in pairs if name and group and group.text}


def restrict(draft: Draft, sources: Iterable[Source], logins: Mapping[str, set[str]]) -> None:
    """Take the models and the end of each key: of a group if all its keys have the same.

    ``logins`` are those of each group. A person with another name than the login is open.
    """
    sources = list(sources)
    found: dict[str, list[Node]] = {}
    passed: set[str] = set()
    for key in _keys(sources):
        name, group = key.get("name"), key.get("group")
        if name is None or group is None or not any(map(key.get, LIMITS)):
            continue
        if name.text in passed:
            draft.leave(key, "another gateway has the same key", Fate.FOLDED)
        elif name.text not in logins.get(group.text, ()):
            reason = f"no settings of a login {name.text} are here: write them at its group"
            for node in filter(None, map(key.get, LIMITS)):
                draft.leave(node, reason, Fate.OPEN)
        else:
            found.setdefault(group.text, []).append(key)
        passed.add(name.text)
    for group_name, keys in found.items():
        for limit in LIMITS:
            _limit(draft, group_name, limit, keys, len(logins[group_name]))
    for source in sources:
        draft.leave(source.tree, "Mirrorfleet derives the keys of developers", Fate.DERIVED)


def opened(draft: Draft, sources: Iterable[Source]) -> None:
    """Take what the keys of each group open beside Claude Code's API: OpenAI's, MCP servers."""
    for source in sources:
        openai, mcp = source.tree.get("openai"), source.tree.get("mcp")
        for node in openai.list if openai else ():
            _opened(draft, node.text, "clients", node, ["claude", "openai"])
        for name, node in mcp.items.items() if mcp else ():
            _opened(draft, name, "mcp_servers", node, [each.text for each in node.list])
        draft.leave(source.tree, "Mirrorfleet writes it again", Fate.DERIVED)


def _opened(draft: Draft, group: str, name: str, node: Node, value: list[str]) -> None:
    key: Key = ("developers", group, name)
    if draft.get("developers", group) is None:
        draft.leave(node, f"no settings of the group {group} are here: write {name}", Fate.OPEN)
    elif draft.get(*key) is not None:
        draft.leave(node, "another gateway has the same", Fate.FOLDED)
    else:
        draft.put(key, value)
        draft.settle(node, key)


LIMITS = ("models", "expires")


def _limit(draft: Draft, group: str, name: str, keys: list[Node], members: int) -> None:
    nodes = [(key, node) for key in keys if (node := key.get(name))]
    values = [_value(name, node) for _, node in nodes]
    of_group: Key = ("developers", group, name)
    if len(nodes) == members and all(value == values[0] for value in values):
        draft.put(of_group, values[0])
        for _, node in nodes:
            draft.settle(node, of_group)
        return
    if name == "models":
        draft.data["developers"][group].pop("models", None)
    for (key, node), value in zip(nodes, values, strict=True):
        person = key.get("name")
        draft.take(node, ("keys", "people", person.text if person else "", name), value)


def _value(name: str, node: Node) -> Any:
    if name == "models":
        return [each.text for each in node.list]
    try:
        # The key ends with the last day that the fleet file has.
        return str((datetime.fromisoformat(node.text) - timedelta(days=1)).date())
    except ValueError:
        return node.text


def _keys(sources: Iterable[Source]) -> Iterator[Node]:
    for source in sources:
        keys = source.tree.get("keys")
        yield from (keys.list if keys else ())
