"""Files for Claude Code that the client would ignore, or that settings name and are missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirrorfleet.checks.claude import literal_secrets
from mirrorfleet.config import Developers, Fleet
from mirrorfleet.config.claude_files import INSTRUCTIONS, named
from mirrorfleet.config.problems import Key, Place, Problem, did_you_mean
from mirrorfleet.config.reading import Unreadable, text


def problems(fleet: Fleet) -> Iterator[Problem]:
    for group in fleet.developers.values():
        key: Key = ("developers", group.name, "files")
        files = group.files
        for mistake in files.mistakes:
            place = Place(str(mistake.path), mistake.line)
            yield Problem(place, key, mistake.text, mistake.fix)
        if fleet.document.says("developers", group.name, "files") and group.packaged:
            yield fleet.document.problem(
                key,
                "reaches no machine without SSH access: installers carry settings and keys only.",
                "Remove it, and name a marketplace in a Git repository: settings: "
                "{extraKnownMarketplaces: {company: {source: {source: git, url: URL}}}}.",
                given=(("developers", group.name, "packaged"),),
            )
        for name, server in files.servers.items():
            place = Place(str(files.sources[name]))
            if name in group.mcp_servers:
                both = f"has the server '{name}', and so does 'mcp_servers'."
                yield Problem(place, key, both, "Rename one of the two.")
            for path, what in literal_secrets(server):
                yield Problem(
                    place,
                    key,
                    f"'{name}' has a secret as {'.'.join(map(str, path))}: {what}.",
                    "Write ${NAME}, a variable of the developer's shell.",
                )
        yield from _named(fleet, group)
        yield from _plugins(fleet, group)
        yield from _imports(group, key)


def _named(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Yield the files that settings name by $MIRRORFLEET_FILES, and that are missing."""
    for key, value in _values(fleet, group):
        for path in named(value):
            if path not in group.files.members:
                known = [*group.files.members]
                yield fleet.document.problem(
                    key,
                    f"names $MIRRORFLEET_FILES/{path}, which 'files' does not have.",
                    did_you_mean(path, known, listed=False) or "Add the file.",
                    given=(("developers", group.name, "files"),),
                )
            elif path not in group.files.executable and _is_command(key):
                yield fleet.document.problem(
                    key,
                    f"runs $MIRRORFLEET_FILES/{path}, which is not executable.",
                    "Run `chmod +x` on it.",
                )


def _values(fleet: Fleet, group: Developers) -> Iterator[tuple[Key, Any]]:
    """Yield each text of the settings, and the helper, with its key."""
    top: Key = ("developers", group.name)
    if group.key_helper:
        yield (*top, "key_helper"), group.key_helper
    yield from _texts((*top, "settings"), group.settings)


def _texts(key: Key, value: Any) -> Iterator[tuple[Key, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts((*key, name), inner)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _texts((*key, at), inner)


def _is_command(key: Key) -> bool:
    """Return whether the text at a key is a command, which begins with a program."""
    return key[-1] in ("command", "key_helper")


def _plugins(fleet: Fleet, group: Developers) -> Iterator[Problem]:
    """Yield the enabled plugins that a marketplace of the files does not have."""
    enabled = group.settings.get("enabledPlugins")
    for name in enabled if isinstance(enabled, dict) else ():
        plugin, _, marketplace = str(name).partition("@")
        plugins = group.files.marketplaces.get(marketplace)
        if plugins is not None and plugin not in plugins:
            yield fleet.document.problem(
                ("developers", group.name, "settings", "enabledPlugins", name),
                f"'{plugin}' is not a plugin of the marketplace '{marketplace}'.",
                did_you_mean(plugin, plugins),
                given=(("developers", group.name, "files"),),
            )


def _imports(group: Developers, key: Key) -> Iterator[Problem]:
    """Warn of imports, which the client ignores in managed instructions."""
    file = group.files.members.get(INSTRUCTIONS)
    if group.scope != "managed" or file is None:
        return
    for number, line in enumerate(_lines(file), start=1):
        if line.startswith("@"):
            yield Problem(
                Place(str(file), number),
                key,
                f"imports {line.split()[0][1:]}, which Claude Code does not read with scope: "
                "managed.",
                "Put its text into a file in rules/.",
                "warning",
            )


def _lines(file: Path) -> list[str]:
    try:
        return text(file).splitlines()
    except Unreadable:
        return []
