"""Files for Claude Code on hosts: where they are, what links to them, and what settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirrorfleet.config import Developers
from mirrorfleet.config.claude_files import INSTRUCTIONS, LINKED, VARIABLE
from mirrorfleet.planning.provenance import Provenance, derived_from
from mirrorfleet.planning.setting import Setting, Settings, group_key

FILES = "/opt/mirrorfleet/claude/files"
"""Directory on a host with the files of each group. Only root can write to it."""


@dataclass(frozen=True)
class FilesPlan:
    """The files of a group on a host, for all its users: each path below ``path``, its source."""

    group: str = derived_from("developers.{group}")
    path: str = derived_from("developers.{group}.files", reason="only root can change it")
    members: Mapping[str, Path] = derived_from("developers.{group}.files")
    executable: tuple[str, ...] = derived_from("developers.{group}.files")

    @property
    def name(self) -> str:
        return self.group


def directory(group: str) -> str:
    """Return the directory of a group's files on its hosts."""
    return f"{FILES}/{group}"


def files_plan(group: Developers) -> FilesPlan | None:
    """Return the files of a group on its hosts."""
    if not group.files.members:
        return None
    executable = tuple(sorted(group.files.executable))
    return FilesPlan(group.name, directory(group.name), group.files.members, executable)


def links(group: Developers) -> dict[str, str]:
    """Return the target of each link in a directory of the client.

    CLAUDE.md becomes a rule: the developer's own CLAUDE.md stays as it is.
    """
    top = directory(group.name)
    found = {
        f"{kind}/{name}": f"{top}/{kind}/{name}"
        for kind in LINKED
        for name in group.files.entries(kind)
    }
    if INSTRUCTIONS in group.files.members:
        found[f"rules/mirrorfleet-{group.name}.md"] = f"{top}/{INSTRUCTIONS}"
    return found


def servers(group: Developers) -> dict[str, Any]:
    """Return the MCP servers of a group, by name."""
    return {name: placed(group, server) for name, server in group.files.servers.items()}


def placed(group: Developers, value: Any) -> Any:
    """Return a value with the path of the group's files in place of the variable."""
    if isinstance(value, str):
        return VARIABLE.sub(directory(group.name), value)
    if isinstance(value, dict):
        return {name: placed(group, inner) for name, inner in value.items()}
    return [placed(group, inner) for inner in value] if isinstance(value, list) else value


def marketplaces(group: Developers) -> Settings:
    """Yield the setting that adds each marketplace of the files."""
    for name in group.files.marketplaces:
        source = {"source": "directory", "path": f"{directory(group.name)}/marketplaces/{name}"}
        provenance = Provenance((group_key(group, "files"),))
        yield ("extraKnownMarketplaces", name), Setting({"source": source}, provenance)
