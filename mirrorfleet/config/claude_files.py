"""Files for Claude Code that a fleet distributes: directories laid out as the client knows them.

CLAUDE.md              instructions
.mcp.json              MCP servers, as in a project
skills/NAME/SKILL.md   agents/NAME.md   commands/NAME.md   rules/NAME.md   output-styles/NAME.md
hooks/                 scripts that `settings` names
marketplaces/NAME/     with plugins
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mirrorfleet.config import reading
from mirrorfleet.config.problems import did_you_mean
from mirrorfleet.data import load_typed

INSTRUCTIONS, SERVERS, MANIFEST = "CLAUDE.md", ".mcp.json", ".claude-plugin/marketplace.json"

LINKED = ("skills", "agents", "commands", "rules", "output-styles")
"""Directories whose entries the client finds by their place."""

KINDS = (*LINKED, "hooks", "marketplaces")

IGNORED = ("README.md", "__pycache__")
"""Names that are not distributed, besides hidden ones."""

MOST_FILES, MOST_BYTES, LONGEST_PATH = 1000, 8 * 1024**2, 120

MOST_LINKS = 200
"""Most skills, agents, commands, rules and styles: a home gets a link to each, in one command."""


VARIABLE = re.compile(r"\$(MIRRORFLEET_FILES\b|\{MIRRORFLEET_FILES\})")
"""What stands for the path of a group's files in its settings and servers."""


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a file, for a message; line 0 stands for the file as a whole."""

    path: Path
    text: str
    fix: str = ""
    line: int = 0


@dataclass(frozen=True)
class ClaudeFiles:
    """The files of a group.

    ``members``: the file of each path below the directory on hosts. ``executable``: paths of
    scripts and programs. ``servers``: MCP servers by name. ``marketplaces``: the plugins of each.
    """

    members: Mapping[str, Path] = field(default_factory=dict)
    executable: frozenset[str] = frozenset()
    servers: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)
    marketplaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    def entries(self, kind: str) -> list[str]:
        """Return the names directly below a directory such as ``skills``."""
        names = (path.split("/")[1] for path in self.members if path.startswith(f"{kind}/"))
        return sorted(set(names))


def read(directories: Sequence[Path]) -> ClaudeFiles:
    """Read the files of several directories, and what is wrong with them."""
    reader = _Reader()
    for directory in directories:
        reader.directory(directory)
    reader.check()
    return ClaudeFiles(
        reader.members,
        frozenset(reader.executable),
        reader.servers,
        reader.sources,
        reader.marketplaces,
        tuple(reader.mistakes),
    )


def named(value: Any) -> Iterator[str]:
    """Yield the paths below the directory of files that a value names by the variable."""
    if isinstance(value, str):
        for found in VARIABLE.finditer(value):
            # A shell's quotes may end before the path does: "$MIRRORFLEET_FILES"/hooks/guard.sh.
            if after := re.match(r"[\"']?/([^\s\"';|&<>)]+)", value[found.end() :]):
                yield after[1]
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from named(inner)


class _Reader:
    """Collects files and mistakes."""

    def __init__(self) -> None:
        self.members: dict[str, Path] = {}
        self.executable: set[str] = set()
        self.servers: dict[str, Any] = {}
        self.sources: dict[str, Path] = {}
        self.marketplaces: dict[str, tuple[str, ...]] = {}
        self.mistakes: list[Mistake] = []
        self.size = 0

    def directory(self, top: Path) -> None:
        try:
            names = sorted(path.name for path in top.iterdir())
        except (OSError, ValueError) as error:
            mistake = f"cannot be read: {getattr(error, 'strerror', None) or error}."
            self.mistakes.append(Mistake(top, mistake, "Write the path of a directory."))
            return
        for name in names:
            if name in KINDS:
                self._walk(top, name)
            elif name == INSTRUCTIONS:
                self._member(top, name)
            elif name == SERVERS:
                self._read_servers(top / name)
            elif not name.startswith(".") and name not in IGNORED:
                known = (INSTRUCTIONS, SERVERS, *KINDS)
                fix = did_you_mean(name, known)
                self._report(top / name, "is nothing that a fleet distributes.", fix)

    def _walk(self, top: Path, kind: str) -> None:
        if not (top / kind).is_dir() or (top / kind).is_symlink():
            self._report(top / kind, "is not a directory.", "Make it one.")
            return
        for place, directories, files in os.walk(top / kind, onerror=self._unlisted):
            inside = Path(place)
            for name in [each for each in directories if (inside / each).is_symlink()]:
                self._report(inside / name, "is a link.", "Copy the directory here.")
            # Plugins have hidden directories of their own.
            directories[:] = sorted(each for each in directories if each not in (".git", *IGNORED))
            for name in sorted(files):
                if name != ".DS_Store":
                    self._member(top, str((inside / name).relative_to(top)))
                if len(self.members) > MOST_FILES or self.size > MOST_BYTES:
                    mistake = f"has over {MOST_FILES} files or {MOST_BYTES >> 20} MiB."
                    fix = "Serve large files from a marketplace in a Git repository."
                    self._report(top, mistake, fix)
                    return

    def _unlisted(self, error: OSError) -> None:
        self._report(Path(error.filename), f"cannot be read: {error.strerror}.")

    def _member(self, top: Path, path: str) -> None:
        file = top / path
        if file.is_symlink():
            self._report(file, "is a link.", "Copy the file here.")
            return
        plain = path.isascii() and path.isprintable() and "\\" not in path
        if not plain or len(path) > LONGEST_PATH:
            mistake = f"has a path of over {LONGEST_PATH} characters, or with others than ASCII."
            self._report(file, mistake, "Rename it.")
            return
        if path in self.members:
            mistake = f"is also in {self.members[path]}."
            self._report(file, mistake, "Rename one of the two.")
            return
        try:
            self.size += len(reading.content(file, MOST_BYTES))
        except reading.Unreadable as error:
            self._report(file, error.mistake, error.remedy)
            return
        self.members[path] = file
        if os.access(file, os.X_OK):
            self.executable.add(path)

    def _read_servers(self, file: Path) -> None:
        content = self._json(file)
        if content is None:
            return
        servers = content.get("mcpServers")
        if not isinstance(servers, dict):
            mistake = "has no mapping 'mcpServers'."
            example = '{"mcpServers": {"tickets": {"type": "http", "url": "https://…"}}}'
            self._report(file, mistake, f"For example: {example}.")
            return
        for name, server in servers.items():
            if not isinstance(server, dict) or not ("command" in server or "url" in server):
                self._report(file, f"'{name}' has neither 'command' nor 'url'.", "Add one.")
            elif name in self.servers:
                mistake = f"has the server '{name}', and so does {self.sources[name]}."
                self._report(file, mistake, "Rename one of the two.")
            else:
                self.servers[name], self.sources[name] = server, file

    def _json(self, file: Path) -> dict[str, Any] | None:
        try:
            found = json.loads(reading.text(file, MOST_BYTES))
        except reading.Unreadable as error:
            self._report(file, error.mistake, error.remedy)
        except json.JSONDecodeError as error:
            self.mistakes.append(Mistake(file, f"is not JSON: {error.msg}.", line=error.lineno))
        except (ValueError, RecursionError):
            self._report(file, "is not JSON that can be read.")
        else:
            if isinstance(found, dict):
                return found
            self._report(file, "is not a JSON object.")
        return None

    def check(self) -> None:
        """Report what the client would ignore."""
        entries = [
            (kind, name)
            for kind in LINKED
            for name in sorted({each.split("/")[1] for each in self._below(kind)})
        ]
        if len(entries) > MOST_LINKS:
            path, file = next(iter(self.members.items()))
            mistake = f"has {len(entries)} skills, agents, commands, rules and output styles; "
            mistake += f"the maximum is {MOST_LINKS}."
            fix = "Put some of them into plugins of a marketplace."
            self._report(file.parents[path.count("/")], mistake, fix)
        for kind, name in entries:
            self._entry(kind, name)
        for name in sorted({each.split("/")[1] for each in self._below("marketplaces")}):
            self._marketplace(name)

    def _below(self, kind: str) -> Iterator[str]:
        yield from (path for path in self.members if path.startswith(f"{kind}/"))

    def _entry(self, kind: str, name: str) -> None:
        path = f"{kind}/{name}"
        if kind == "skills":
            if f"{path}/SKILL.md" not in self.members:
                some = next(each for each in self._below(kind) if each.startswith(path))
                fix = f"Write skills/{Path(name).stem}/SKILL.md."
                self._report(self.members[some], "belongs to no skill.", fix)
        elif kind in ("rules", "output-styles", "agents") and path not in self.members:
            some = next(each for each in self._below(kind) if each.startswith(f"{path}/"))
            self._report(
                self.members[some], f"is below a directory of {kind}.", f"Move it to {kind}/."
            )
        elif path in self.members and not name.endswith(".md"):
            self._report(self.members[path], f"is not a .md file, and {kind} are.", "Rename it.")
        elif kind == "agents":
            self._agent(self.members[path])

    def _agent(self, file: Path) -> None:
        try:
            head = _head(reading.text(file))
        except (reading.Unreadable, yaml.YAMLError):
            head = {}
        missing = [key for key in ("name", "description") if not isinstance(head.get(key), str)]
        if missing:
            mistake = (
                f"has no '{missing[0]}' between two lines --- at its top: it would be ignored."
            )
            self._report(file, mistake, f"Add '{missing[0]}: …'.")

    def _marketplace(self, name: str) -> None:
        path = f"marketplaces/{name}/{MANIFEST}"
        if path not in self.members:
            some = next(each for each in self._below("marketplaces") if f"/{name}" in each)
            fix = f"Add {path}."
            self._report(self.members[some], f"belongs to no marketplace '{name}'.", fix)
            return
        content = self._json(self.members[path])
        if content is None:
            return
        if content.get("name") != name:
            mistake = f"has the name {content.get('name')!r}, and its directory is '{name}'."
            self._report(self.members[path], mistake, "Write the same name.")
        plugins = content.get("plugins")
        self.marketplaces[name] = tuple(
            str(each.get("name"))
            for each in (plugins if isinstance(plugins, list) else [])
            if isinstance(each, dict)
        )

    def _report(self, path: Path, text: str, fix: str = "") -> None:
        self.mistakes.append(Mistake(path, text, fix))


def _head(text: str) -> Mapping[str, Any]:
    """Return the YAML between the first two lines of dashes."""
    parts = text.split("---\n", 2)
    found = load_typed(parts[1]) if len(parts) == 3 and not parts[0].strip() else {}
    return found if isinstance(found, dict) else {}
