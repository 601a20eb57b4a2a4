"""What all users of a machine share: policy, commands, certificates, the list of assignments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.planning.connection import STATUS_LINE
from mirrorfleet.roles.claude import policy_files
from mirrorfleet.roles.claude.client import binary
from mirrorfleet.roles.claude.facts import Assignments
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.render import isolated
from mirrorfleet.roles.claude.user_settings import Assignment, assignment_of
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Exists, Fact, File, Link
from mirrorfleet.runtime.files import SystemFile, outdated_system_files
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call, shell

FILES = Path(__file__).parent / "files"
POLICY = "/etc/claude-code/managed-settings.d/50-mirrorfleet.json"
ASSIGNMENT_LIST = f"{STATE}/claude-seats"
"""Lists the assignments of this host, a user and a directory per line. Release 0.1 named it."""

COMMANDS = "/usr/local/bin"
CLAUDE = f"{COMMANDS}/claude"


def facts(plan: ClaudePlan | None) -> list[Fact[Any]]:
    """Return the facts that a machine needs, even one without developers."""
    present = [f"{each.user} {each.directory}" for each in assignments(plan)]
    always: list[Fact[Any]] = [
        File(POLICY),
        File(ASSIGNMENT_LIST),
        Assignments(ASSIGNMENT_LIST, tuple(present)),
        *policy_files.facts(plan),
    ]
    if plan is None:
        return always
    commands = links(plan)
    return [
        *always,
        *(Exists(binary(version)) for version in plan.versions),
        *(kind(command) for command in commands for kind in (Link, Exists)),
        File(STATUS_LINE),
        *(File(_script(each.command)) for each in plan.isolated),
        *(kind(each.path) for each in plan.certificates for kind in (File, Exists)),
    ]


def assignments(plan: ClaudePlan | None) -> list[Assignment]:
    """Return the assignments in the plan."""
    return [assignment_of(client) for client in plan.users] if plan else []


def former_assignments(plan: ClaudePlan | None, observed: Observation) -> list[Assignment]:
    """Return the assignments of earlier runs that are no longer in the plan."""
    return sorted(
        {Assignment(user, directory) for user, directory in observed[Assignments(ASSIGNMENT_LIST)]}
        - set(assignments(plan)),
        key=lambda each: (each.user, each.directory),
    )


def links(plan: ClaudePlan) -> dict[str, str]:
    """Return the target of each command of the machine."""
    ordinary = {CLAUDE: binary(plan.version)} if plan.version else {}
    return ordinary | {
        f"{COMMANDS}/{each.command}": _script(each.command) for each in plan.isolated
    }


def files(plan: ClaudePlan | None, kept: Sequence[Assignment] = ()) -> list[SystemFile]:
    """Return the desired files of the machine.

    ``kept`` are former assignments that could not be restored: the next run tries again.
    """
    policy = written(plan.managed.settings) if plan and plan.managed is not None else None
    shared = [SystemFile(POLICY, policy), *policy_files.rules(plan)]
    if plan:
        program = (FILES / "status_line.py").read_bytes() if plan.status_line else None
        shared.append(SystemFile(STATUS_LINE, program))
        shared += [
            SystemFile(_script(each.command), isolated(each, binary(each.version)), "755")
            for each in plan.isolated
        ]
        shared += [
            SystemFile(each.path, reading.content(each.source))
            for each in plan.certificates
            if each.source
        ]
    # Last: after an interrupted run, the list still has the assignments of the run before it.
    return [*shared, _list([*assignments(plan), *kept])]


def interim_list(plan: ClaudePlan | None, observed: Observation) -> SystemFile:
    """Return the list to write before a change: present and former assignments."""
    return _list([*assignments(plan), *former_assignments(plan, observed)])


def _list(listed: Sequence[Assignment]) -> SystemFile:
    lines = "".join(f"{each.user} {each.directory}\n" for each in listed)
    return SystemFile(ASSIGNMENT_LIST, lines.encode() or None)


def changes(
    plan: ClaudePlan | None, observed: Observation, kept: Sequence[Assignment]
) -> Iterator[Change]:
    """Yield the files and commands of the machine that will be changed."""
    for file in outdated_system_files(files(plan, kept), observed):
        if file.content is None:
            yield Change(f"{file.path} will be removed")
            continue
        how = "differs" if observed[File(file.path)] is not None else "is missing"
        yield Change(f"{file.path} {how}", old=file.path, new=file.content.decode(errors="replace"))
    for command, target in (links(plan) if plan else {}).items():
        if observed[Link(command)] != target:
            target_now = observed[Link(command)] or "nothing"
            yield Change(f"{command} links to {target_now}")
    yield from policy_files.changes(plan, observed)
    if unused := unused_commands(plan, observed):
        yield Change(f"{len(unused)} unused commands will be removed")


def relink(plan: ClaudePlan | None, observed: Observation) -> str:
    """Return the script that links the commands to their targets."""
    calls = [
        call("relink", target, command)
        for command, target in (links(plan) if plan else {}).items()
        if observed[Link(command)] != target
    ]
    return "".join([shell(FILES / "relink.sh"), *calls]) if calls else ""


def unlink(plan: ClaudePlan | None, observed: Observation) -> str:
    """Return the script that removes the unused commands."""
    return _unlink_script(unused_commands(plan, observed))


def unused_commands(plan: ClaudePlan | None, observed: Observation) -> set[str]:
    """Return the commands of earlier runs that no assignment in the plan uses."""
    former = {f"{COMMANDS}/{each.command}" for each in former_assignments(plan, observed)}
    return former - (links(plan) if plan else {}).keys()


def _unlink_script(commands: Collection[str]) -> str:
    calls = (call("unlink_command", command) for command in sorted(commands))
    return "".join([shell(FILES / "unlink.sh"), *calls]) if commands else ""


def problems(plan: ClaudePlan, observed: Observation) -> Iterator[Problem]:
    """Yield why the machine cannot get its commands and certificates."""
    for command in links(plan):
        if observed[Exists(command)] and not (observed[Link(command)] or "").startswith(f"{ROOT}/"):
            yield error(
                f"{command} exists, but Mirrorfleet did not create it.",
                "Remove it, then run again.",
            )
    for each in plan.certificates:
        if each.source is None and not observed[Exists(each.path)]:
            yield error(
                f"the certificate {each.path}, which clients should trust, is missing.",
                "Copy it there, or push one.",
            )


def certificate_problems(plan: ClaudePlan) -> Iterator[Problem]:
    """Yield what is wrong with the files of certificates to push."""
    for each in plan.certificates:
        if each.source is None:
            continue
        try:
            content = reading.content(each.source)
        except reading.Unreadable as exception:
            yield error(f"{each.source} cannot be read: {exception.mistake}", exception.remedy)
            continue
        if b"-----BEGIN CERTIFICATE-----" not in content:
            yield error(f"{each.source} has no certificate in PEM format.", "Set a file with one.")
        elif b"PRIVATE KEY-----" in content:
            yield error(
                f"{each.source} has a private key, which all users of the host could read.",
                "Set a file with the certificate only.",
            )


def remove_all(
    plan: ClaudePlan | None, observed: Observation, kept: Sequence[Assignment] = ()
) -> Commands:
    """Remove the files of Mirrorfleet outside the homes, if there are any.

    ``kept`` are the assignments that stay in the list.
    """
    known = {*(links(plan) if plan else ())}
    clients = {binary(version) for version in plan.versions} if plan else set()
    is_linked = any((observed[Link(command)] or "").startswith(f"{ROOT}/") for command in known)
    if (
        is_linked
        or any(observed[File(path)] for path in (POLICY, ASSIGNMENT_LIST))
        or any(observed[Exists(path)] for path in clients)
    ):
        known |= {f"{COMMANDS}/{each.command}" for each in former_assignments(plan, observed)}
        listed = (_list(kept).content or b"").decode()
        clear = shell(
            FILES / "remove_clients.sh", policy=POLICY, list=ASSIGNMENT_LIST, assignments=listed
        )
        yield script(_unlink_script(known) + policy_files.unlink(observed) + clear)


def _script(command: str) -> str:
    return f"{ROOT}/claude/commands/{command}"
