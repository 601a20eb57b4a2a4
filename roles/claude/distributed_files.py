"""The files that a fleet distributes for Claude Code: one tree per content, a link per group.

    /opt/mirrorfleet/claude/files/.versions/DIGEST/skills/review/SKILL.md
    /opt/mirrorfleet/claude/files/platform -> .versions/DIGEST

Only root can change them. What the client reads by its place links to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.planning.claude_files import FILES, FilesPlan
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Fact, Link, Tree
from mirrorfleet.runtime.files import STAGE
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.payload import Member, pack
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call, shell

SCRIPTS = Path(__file__).parent / "files"
VERSIONS = ".versions"

SHOWN = 3
"""Most files that the summary of a change names."""


def facts(plan: ClaudePlan | None) -> Iterator[Fact[Any]]:
    """Yield the facts about the files, even on a machine without developers."""
    yield Tree(FILES)
    for each in plan.files if plan else ():
        yield Link(each.path)


def problems(plan: ClaudePlan) -> Iterator[Problem]:
    """Yield which files can no longer be read on this machine."""
    for each in plan.files:
        try:
            members(each)
        except reading.Unreadable as exception:
            yield error(
                f"{exception.filename} cannot be read: {exception.mistake}", exception.remedy
            )


def members(plan: FilesPlan) -> dict[str, Member]:
    """Return the files of a group by path. Raises ``reading.Unreadable``."""
    return {
        path: Member(path, reading.content(source), "755" if path in plan.executable else "644")
        for path, source in sorted(plan.members.items())
    }


def digest(files: dict[str, Member]) -> str:
    """Return the name of a version: the same files have the same."""
    lines = [f"{member.rights_and_digest} {path}\n" for path, member in files.items()]
    return sha256("".join(lines).encode()).hexdigest()[:24]


def changes(plan: ClaudePlan | None, observed: Observation) -> Iterator[Change]:
    """Yield the groups whose files will change, with some of their names."""
    for each in plan.files if plan else ():
        files = members(each)
        present = _present(observed, observed[Link(each.path)] or "")
        if observed[Link(each.path)] == _version(files) and present == _described(files):
            continue
        desired = _described(files)
        paths = sorted(
            path for path in {*desired, *present} if desired.get(path) != present.get(path)
        )
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        names = ", ".join(paths[:SHOWN])
        yield Change(f"{each.path}: {names}{more} will be {'changed' if present else 'added'}")
    unused = _unused(plan, observed)
    if "" in unused:
        yield Change(f"{FILES} will be removed")
    elif unused:
        yield Change(f"{len(unused)} old versions of Claude Code's files will be removed")


def place(plan: ClaudePlan | None, observed: Observation) -> Commands:
    """Upload the files that differ, then switch each group to its version."""
    packed: list[Member] = []
    calls: list[str] = []
    versions: set[str] = set()
    for each in plan.files if plan else ():
        files = members(each)
        version = _version(files)
        if _present(observed, version) != _described(files) and version not in versions:
            versions.add(version)
            name = digest(files)
            packed += [Member(f"{name}/{path}", m.content, m.mode) for path, m in files.items()]
            calls.append(call("place_version", name))
        if observed[Link(each.path)] != version:
            calls.append(call("switch_files", version, each.path))
    if not calls:
        return
    functions = shell(SCRIPTS / "distributed_files.sh", files=FILES)
    if packed:
        yield script(STAGE + functions + "".join(calls), pack(packed))
    else:
        yield script(functions + "".join(calls))


def prune(plan: ClaudePlan | None, observed: Observation, *, stay: bool = False) -> str:
    """Return the script that removes versions and groups that are not in the plan.

    If a home could not be written, the empty directory must ``stay``: without it, no later run
    looks for links in homes, and those of that home would dangle for ever.
    """
    unused = _unused(plan, observed)
    removed = [FILES if not name else f"{FILES}/{name}" for name in unused]
    again = [call("install", "-d", "-m", "755", FILES)] if stay and "" in unused else []
    return "".join([*(call("rm", "-rf", path) for path in removed), *again])


def _unused(plan: ClaudePlan | None, observed: Observation) -> list[str]:
    """Return what to remove below the directory; "" is the directory itself."""
    there = {*observed[Tree(FILES)]}
    if not there:
        return []
    kept = {VERSIONS}
    for each in plan.files if plan else ():
        kept |= {each.group, _version(members(each))}
    if kept == {VERSIONS}:
        return [""]
    groups = {name for name in there if name and "/" not in name}
    versions = {"/".join(name.split("/")[:2]) for name in there if name.startswith(f"{VERSIONS}/")}
    return sorted((groups | versions) - kept)


def _version(files: dict[str, Member]) -> str:
    return f"{VERSIONS}/{digest(files)}"


def _described(files: dict[str, Member]) -> dict[str, str]:
    return {path: member.rights_and_digest for path, member in files.items()}


def _present(observed: Observation, version: str) -> dict[str, str]:
    """Return the files of a version on the host, as they are described there."""
    top = f"{version}/"
    return {
        name.removeprefix(top): description
        for name, description in observed[Tree(FILES)].items()
        if version and name.startswith(top) and not description.endswith(" directory")
    }
