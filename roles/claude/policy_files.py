"""Distributed files of a group with managed settings: in /etc/claude-code/.claude, for all users.

The client follows links to managed skills, agents, commands and output styles, but not to rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirrorfleet.config import reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.roles.claude.facts import PolicyEntries
from mirrorfleet.runtime.facts import Fact, File
from mirrorfleet.runtime.files import SystemFile
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call

PLACE = "/etc/claude-code/.claude"
RULES = "rules/mirrorfleet-"
"""How the paths of rules begin, which are copies."""


def facts(plan: ClaudePlan | None) -> Iterator[Fact[Any]]:
    """Yield the facts about the policy's files, even on a machine without a policy."""
    yield PolicyEntries(PLACE)
    for file in rules(plan):
        yield File(file.path)


def problems(plan: ClaudePlan, observed: Observation) -> Iterator[Problem]:
    """Yield which entries have the name of a distributed one, but are not Mirrorfleet's."""
    present = observed[PolicyEntries(PLACE)]
    for path in links(plan):
        if path in present and not present[path].startswith(f"{ROOT}/"):
            yield error(
                f"{PLACE}/{path} exists, but Mirrorfleet did not create it.",
                "Remove it, or rename the one in the fleet.",
            )


def links(plan: ClaudePlan | None) -> dict[str, str]:
    """Return the target of each link, by its path below the directory."""
    managed = plan.managed.links if plan and plan.managed else {}
    return {path: target for path, target in managed.items() if not path.startswith("rules/")}


def rules(plan: ClaudePlan | None) -> list[SystemFile]:
    """Return the rules, CLAUDE.md among them, as files."""
    if plan is None or plan.managed is None:
        return []
    [sources] = [each.members for each in plan.files if each.group == plan.managed.group] or [{}]
    found = []
    for path in plan.managed.links:
        if path.startswith(RULES):
            found.append((path, "CLAUDE.md"))
        elif path.startswith("rules/"):
            name = path.removeprefix("rules/")
            found.append((f"{RULES}{plan.managed.group}-{name}", path))
    return [
        SystemFile(f"{PLACE}/{path}", reading.content(sources[source])) for path, source in found
    ]


def changes(plan: ClaudePlan | None, observed: Observation) -> Iterator[Change]:
    """Yield the links that will change; rules are files of the machine."""
    present = observed[PolicyEntries(PLACE)]
    for path, target in links(plan).items():
        if present.get(path) != target:
            yield Change(f"{PLACE}/{path} will link to {target}")
    for path in _unused(plan, observed):
        yield Change(f"{PLACE}/{path} will be removed")


def relink(plan: ClaudePlan | None, observed: Observation) -> str:
    """Return the script that writes the links, and removes what is no longer in the plan."""
    present = observed[PolicyEntries(PLACE)]
    calls = [call("rm", "-f", f"{PLACE}/{path}") for path in _unused(plan, observed)]
    for path, target in links(plan).items():
        if present.get(path) != target:
            calls.append(call("install", "-d", "-m", "755", f"{PLACE}/{path.split('/')[0]}"))
            calls.append(call("ln", "-sfnT", target, f"{PLACE}/{path}"))
    return "".join(calls)


def unlink(observed: Observation) -> str:
    """Return the script that removes all links and rules of Mirrorfleet."""
    return relink(None, observed)


def _unused(plan: ClaudePlan | None, observed: Observation) -> list[str]:
    desired = {*links(plan), *(file.path.removeprefix(f"{PLACE}/") for file in rules(plan))}
    return [
        path
        for path, target in observed[PolicyEntries(PLACE)].items()
        if path not in desired and (target.startswith(f"{ROOT}/") or path.startswith(RULES))
    ]
