"""Keys of earlier releases: renamed ones are accepted for a time, removed ones explained."""

from __future__ import annotations

from collections.abc import Iterator

from mirrorfleet.config.problems import Problem
from mirrorfleet.config.yaml_nodes import Node

RENAMED = {"front": "load_balancer"}
"""Each former key at the top of a fleet file, and the key that replaced it."""

END = "0.3"
"""The release that no longer accepts former names."""

SERVERS = {
    "gunicorn": "its workers can deadlock at start, and it cuts requests that take over 30 s",
    "granian": "it cannot recycle workers, and stops as a whole when one of them stops",
}
"""Former values of ``gateway.server``, and the reason why they were removed."""


def update(tree: Node) -> tuple[Node, list[Problem]]:
    """Return the tree of one file without keys of earlier releases, and what to report.

    Run it on each file before includes are merged, so that each file may use either name.
    """
    if not isinstance(tree.value, dict):
        return tree, []
    problems = [*_renamed(tree.value), *_server(tree.value)]
    keys = {RENAMED.get(name, name): node for name, node in tree.value.items()}
    gateway = keys.get("gateway")
    if gateway and isinstance(gateway.value, dict):
        kept = {name: node for name, node in gateway.value.items() if name != "server"}
        keys["gateway"] = Node(kept, gateway.place, gateway.covers)
    return Node(keys, tree.place, tree.covers), problems


def _renamed(keys: dict[str, Node]) -> Iterator[Problem]:
    for former, present in RENAMED.items():
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


def _server(keys: dict[str, Node]) -> Iterator[Problem]:
    gateway = keys.get("gateway")
    if not gateway or not isinstance(gateway.value, dict) or "server" not in gateway.value:
        return
    server = gateway.value["server"]
    key = ("gateway", "server")
    if server.value == "uvicorn":
        mistake = "has no effect any more: gateways always run uvicorn."
        yield Problem(server.place, key, mistake, "Remove the key.", "warning")
    elif server.value is not None:
        reason = SERVERS.get(str(server.value), "gateways always run uvicorn")
        shown = f"'{server.value}'" if str(server.value) in SERVERS else "a server"
        mistake = f"selects {shown}, which is no longer possible: {reason}."
        yield Problem(server.place, key, mistake, "Remove the key: gateways always run uvicorn.")
