"""Links in a developer's home to distributed files: skills, agents, commands, rules, styles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClaudePlan, ClientPlan
from mirrorfleet.planning.claude_files import FILES
from mirrorfleet.roles.claude import machine_files
from mirrorfleet.roles.claude.facts import Entries
from mirrorfleet.roles.claude.user_settings import Assignment, assignment_of
from mirrorfleet.runtime.facts import User
from mirrorfleet.runtime.files import HomeLink
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.problems import warning
from mirrorfleet.runtime.report import Change

SHOWN = 3
"""Most entries that a warning names."""

MOST_STALE, LONGEST_TARGET = 100, 300
"""A developer can make links like Mirrorfleet's: limits for what one run removes from a home. The
names of all links of a home must fit into one argument of a program, 128 KiB."""


def outdated(plan: ClaudePlan | None, observed: Observation) -> list[HomeLink]:
    """Return the links to write and, without a target, to remove: also of removed developers."""
    users = plan.users if plan else ()
    found = [link for user in users for link in _links(assignment_of(user), user.links, observed)]
    for former in machine_files.former_assignments(plan, observed):
        found += _links(former, {}, observed)
    return found


def restored(assignments: list[Assignment], observed: Observation) -> list[HomeLink]:
    """Return the links to remove from all of these homes."""
    return [link for each in assignments for link in _links(each, {}, observed)]


def problems(client: ClientPlan, observed: Observation) -> Iterator[Problem]:
    """Warn of a developer's own entries that have the names of distributed ones.

    It is no reason to skip anything: any developer could make every run fail.
    """
    present = observed[Entries(client.user, client.directory)]
    own = [path for path in client.links if path in present and not _is_link(present[path])]
    if own:
        more = f" and {len(own) - SHOWN} more" if len(own) > SHOWN else ""
        yield warning(
            f"~{client.user}/{client.directory} has own entries with the names of distributed "
            f"ones, which stay: {', '.join(own[:SHOWN])}{more}.",
            "Rename them there, or in the fleet.",
        )


def changes(plan: ClaudePlan | None, observed: Observation) -> Iterator[Change]:
    """Yield the links of each home that will change."""
    for link in outdated(plan, observed):
        how = f"will link to {link.target}" if link.target else "will be removed"
        yield Change(f"~{link.user}/{link.path} {how}")


def _links(
    assignment: Assignment, desired: Mapping[str, str], observed: Observation
) -> Iterator[HomeLink]:
    if observed[User(assignment.user)] is None:
        return
    present = observed[Entries(assignment.user, assignment.directory)]
    for path, target in desired.items():
        now = present.get(path)
        if now != target and (now is None or _is_link(now)):
            yield HomeLink(assignment.user, f"{assignment.directory}/{path}", target, now or "")
    stale = (path for path, now in present.items() if path not in desired and _is_link(now))
    for path in islice(stale, MOST_STALE):
        yield HomeLink(assignment.user, f"{assignment.directory}/{path}", None, present[path])


def _is_link(target: str) -> bool:
    """Return whether an entry is a link of Mirrorfleet, by its target."""
    return target.startswith(f"{FILES}/") and len(target) <= LONGEST_TARGET
