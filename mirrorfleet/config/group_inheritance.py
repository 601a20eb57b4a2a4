"""`developers.defaults`, and groups that extend another: what a group does not write itself.

It works on the tree of a fleet with its includes, so each inherited value keeps its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mirrorfleet.config.problems import Key, Problem, did_you_mean
from mirrorfleet.config.yaml_nodes import Node, overlay

SECTION, DEFAULTS, EXTENDS = "developers", "defaults", "extends"

OWN = ("hosts", "users", "seats", "packaged", "people", "command", "key")
"""Keys of a group that another one does not get by extending it: its people, its command, its
key. ``defaults`` may have any key."""


@dataclass
class Inheritance:
    """The tree with complete groups. ``origins`` has, for each inherited key of a group, the name
    of the group that writes it, or ``defaults``."""

    tree: Node
    origins: dict[Key, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def inherit(tree: Node) -> Inheritance:
    """Return the tree with each group merged over the defaults and the groups that it extends."""
    found = Inheritance(tree)
    section = tree.value.get(SECTION) if isinstance(tree.value, dict) else None
    if section is None or not isinstance(section.value, dict):
        return found
    groups = {name: node for name, node in section.value.items() if name != DEFAULTS}
    defaults = section.value.get(DEFAULTS)
    if defaults is not None and not isinstance(defaults.value, dict):
        mistake = "must be a mapping with the keys that groups share."
        found.problems.append(Problem(defaults.place, (SECTION, DEFAULTS), mistake))
        defaults = None
    if defaults is not None and EXTENDS in defaults.value:
        mistake, fix = "cannot extend a group: every group gets the defaults.", "Remove it."
        place = defaults.value[EXTENDS].place
        found.problems.append(Problem(place, (SECTION, DEFAULTS, EXTENDS), mistake, fix))
    complete = {name: _complete(name, groups, defaults, found) for name, node in groups.items()}
    values = {**tree.value, SECTION: Node(complete, section.place, section.covers)}
    found.tree = Node(values, tree.place, tree.covers)
    return found


def _complete(
    name: str, groups: Mapping[str, Node], defaults: Node | None, found: Inheritance
) -> Node:
    """Return a group merged over what it inherits, nearest last."""
    group = groups[name]
    if not isinstance(group.value, dict):
        return group
    chain = list(_chain(name, groups, found))
    bases = [] if defaults is None else [(DEFAULTS, _without(defaults, (EXTENDS,)))]
    bases += [(base, _without(groups[base], (EXTENDS, *OWN))) for base in reversed(chain)]
    own = _without(group, (EXTENDS,))
    if not bases:
        return own
    for base, node in bases:
        _note(found.origins, (SECTION, name), node, base)
    _forget(found.origins, (SECTION, name), own)
    under = bases[0][1]
    for _, node in bases[1:]:
        under = overlay(under, node)
    return _at(overlay(under, own), group)


def _at(node: Node, group: Node) -> Node:
    return Node(node.value, group.place, group.covers)


def _chain(name: str, groups: Mapping[str, Node], found: Inheritance) -> Iterator[str]:
    """Yield the groups that a group extends, nearest first; report a wrong or circular name."""
    passed = [name]
    while True:
        named = groups[passed[-1]].value.get(EXTENDS)
        if named is None:
            return
        base, first = named.value, passed[-1]
        key = (SECTION, first, EXTENDS)
        if not isinstance(base, str) or base not in groups:
            if len(passed) == 1:
                others = [each for each in groups if each != name]
                mistake = (
                    f"'{base}' is not a group of this file."
                    if isinstance(base, str)
                    else ("must be the name of a group.")
                )
                fix = did_you_mean(str(base), others)
                found.problems.append(Problem(named.place, key, mistake, fix))
            return
        if base in passed:
            if base == name:
                mistake = f"is circular via '{base}'."
                found.problems.append(Problem(named.place, key, mistake, "Remove one of them."))
            return
        if not isinstance(groups[base].value, dict):
            return
        passed.append(base)
        yield base


def _without(node: Node, names: tuple[str, ...]) -> Node:
    kept = {name: each for name, each in node.value.items() if name not in names}
    return Node(kept, node.place, node.covers)


def _note(origins: dict[Key, str], key: Key, node: Node, base: str) -> None:
    """Note the base of each key, at all levels of mappings."""
    for name, each in node.value.items():
        origins[(*key, name)] = base
        if isinstance(each.value, dict):
            _note(origins, (*key, name), each, base)


def _forget(origins: dict[Key, str], key: Key, own: Node) -> None:
    """Forget the keys that a group writes itself, and what is below those it replaces."""
    for name, each in own.value.items():
        inner = (*key, name)
        origins.pop(inner, None)
        if isinstance(each.value, dict):
            _forget(origins, inner, each)
        else:
            for other in [other for other in origins if other[: len(inner)] == inner]:
                del origins[other]
