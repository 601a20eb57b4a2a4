"""Former names of keys at the top of a fleet file: accepted for one release, with a warning."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.problems import Problem
from mirrorfleet.config.yaml_nodes import Node

FORMER = {"front": "load_balancer"}
"""Each former name and the key that replaced it."""

END = "0.3"
"""The release that no longer accepts them."""


def rename(tree: Node) -> tuple[Node, list[Problem]]:
    """Return the tree of one file with present names for former ones, and what to report.

    A former name is a warning; beside the present name, in the same file, it is an error. Run it
    on each file before includes are merged, so that a file may use either name.
    """
    if not isinstance(tree.value, dict):
        return tree, []
    renamed = {FORMER.get(name, name): node for name, node in tree.value.items()}
    return Node(renamed, tree.place, tree.covers), list(_problems(tree.value))


def _problems(keys: dict[str, Node]) -> Iterator[Problem]:
    for former, present in FORMER.items():
        if former in keys and present in keys:
            yield Problem(
                keys[former].place,
                (former,),
                f"is the former name of '{present}', and the file has both.",
                f"Keep '{present}' and remove '{former}'.",
            )
        elif former in keys:
            yield Problem(
                keys[former].place,
                (former,),
                f"is the former name of '{present}', and release {END} no longer accepts it.",
                f"Rename the key to '{present}'.",
                "warning",
            )
