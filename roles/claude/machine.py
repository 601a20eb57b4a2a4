"""What all users of a machine share: its policy, the commands, certificates, the list of seats."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from mirrorfleet.config import reading
from mirrorfleet.config.problems import Problem
from mirrorfleet.planning import ClaudePlan
from mirrorfleet.planning.settings import KEY_FILE
from mirrorfleet.roles.claude.client import binary
from mirrorfleet.roles.claude.facts import Assignments
from mirrorfleet.roles.claude.homes import Seat, seat
from mirrorfleet.roles.claude.json_file import written
from mirrorfleet.roles.claude.render import isolated
from mirrorfleet.runtime.commands import Commands, script
from mirrorfleet.runtime.facts import Exists, Fact, File, Link
from mirrorfleet.runtime.files import SystemFile, unlike
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.paths import ROOT, STATE
from mirrorfleet.runtime.problems import error
from mirrorfleet.runtime.report import Change
from mirrorfleet.runtime.shell import call, shell

FILES = Path(__file__).parent / "files"
POLICY = "/etc/claude-code/managed-settings.d/50-mirrorfleet.json"
SEATS = f"{STATE}/claude-seats"
"""Where the fleet has settings on this host, a user and a directory per line."""

COMMANDS = "/usr/local/bin"
CLAUDE = f"{COMMANDS}/claude"


def facts(plan: ClaudePlan | None) -> list[Fact[Any]]:
    """What must be known of a machine, even one on which nobody works any more."""
    present = [f"{each.user} {each.directory}" for each in seats(plan)]
    asked: list[Fact[Any]] = [File(POLICY), File(SEATS), Assignments(SEATS, tuple(present))]
    if plan is None:
        return asked
    commands = links(plan)
    return [
        *asked,
        *(Exists(binary(version)) for version in plan.versions),
        *(kind(command) for command in commands for kind in (Link, Exists)),
        *(File(_script(each.command)) for each in plan.isolated),
        *(kind(each.path) for each in plan.certificates for kind in (File, Exists)),
    ]


def seats(plan: ClaudePlan | None) -> list[Seat]:
    return [seat(client) for client in plan.users] if plan else []


def left(plan: ClaudePlan | None, observed: Observation) -> list[Seat]:
    """Return the seats of an earlier run that nobody is to have any more."""
    return sorted(
        {Seat(user, directory) for user, directory in observed[Assignments(SEATS)]}
        - set(seats(plan)),
        key=lambda each: (each.user, each.directory),
    )


def links(plan: ClaudePlan) -> dict[str, str]:
    """Return each command of the machine and where it leads."""
    ordinary = {CLAUDE: binary(plan.version)} if plan.version else {}
    return ordinary | {
        f"{COMMANDS}/{each.command}": _script(each.command) for each in plan.isolated
    }


def files(plan: ClaudePlan | None, kept: Sequence[Seat] = ()) -> list[SystemFile]:
    """Return the files of the machine as they are to be.

    ``kept`` are seats of people who leave that could not be taken back: the next run tries again.
    """
    policy = written(plan.managed.settings) if plan and plan.managed is not None else None
    shared = [SystemFile(POLICY, policy)]
    if plan:
        shared += [
            SystemFile(_script(each.command), isolated(each, binary(each.version), KEY_FILE), "755")
            for each in plan.isolated
        ]
        shared += [
            SystemFile(each.path, reading.content(each.source))
            for each in plan.certificates
            if each.source
        ]
    # Last: until then, a run that was cut still knows where the one before it was.
    return [*shared, _listed([*seats(plan), *kept])]


def known(plan: ClaudePlan | None, observed: Observation) -> SystemFile:
    """Return the list of seats for the time of a change: those of before, and those to be."""
    return _listed([*seats(plan), *left(plan, observed)])


def _listed(where: Sequence[Seat]) -> SystemFile:
    lines = "".join(f"{each.user} {each.directory}\n" for each in where)
    return SystemFile(SEATS, lines.encode() or None)


def changes(
    plan: ClaudePlan | None, observed: Observation, kept: Sequence[Seat]
) -> Iterator[Change]:
    """Yield the files and commands of the machine that will be changed."""
    for file in unlike(files(plan, kept), observed):
        if file.content is None:
            yield Change(f"{file.path} will be removed")
            continue
        how = "differs" if observed[File(file.path)] is not None else "is missing"
        yield Change(f"{file.path} {how}", old=file.path, new=file.content.decode(errors="replace"))
    for command, target in (links(plan) if plan else {}).items():
        if observed[Link(command)] != target:
            yield Change(f"{command} leads to {(observed[Link(command)] or 'nothing')}")
    if former := _former(plan, observed):
        yield Change(f"{len(former)} commands that nobody has any more are removed")


def relink(plan: ClaudePlan | None, observed: Observation) -> str:
    """Return the script that leads the commands where they belong."""
    calls = [
        call("relink", target, command)
        for command, target in (links(plan) if plan else {}).items()
        if observed[Link(command)] != target
    ]
    return "".join([shell(FILES / "relink.sh"), *calls]) if calls else ""


def unlink(plan: ClaudePlan | None, observed: Observation) -> str:
    """Return the script that removes the commands that nobody has any more."""
    return _unlinked(_former(plan, observed))


def _former(plan: ClaudePlan | None, observed: Observation) -> set[str]:
    """Return the commands of an earlier run that nobody has any more."""
    former = {f"{COMMANDS}/{each.command}" for each in left(plan, observed)}
    return former - (links(plan) if plan else {}).keys()


def _unlinked(commands: Collection[str]) -> str:
    calls = (call("unlink_command", command) for command in sorted(commands))
    return "".join([shell(FILES / "unlink.sh"), *calls]) if commands else ""


def problems(plan: ClaudePlan, observed: Observation) -> Iterator[Problem]:
    """Yield why the machine cannot have its commands, policy and certificates."""
    for command in links(plan):
        if observed[Exists(command)] and not (observed[Link(command)] or "").startswith(f"{ROOT}/"):
            yield error(
                f"{command} exists, and is not Mirrorfleet's.", "Remove it, then run again."
            )
    for each in plan.certificates:
        if each.source is None and not observed[Exists(each.path)]:
            yield error(
                f"there is no {each.path}, which clients should trust.",
                "Put it there, or push one.",
            )


def unsound(plan: ClaudePlan) -> Iterator[Problem]:
    """Yield what is wrong with the certificates to push."""
    for each in plan.certificates:
        if each.source is None:
            continue
        try:
            content = reading.content(each.source)
        except reading.Unreadable as exception:
            yield error(f"{each.source} cannot be read: {exception.mistake}", exception.remedy)
            continue
        if b"-----BEGIN CERTIFICATE-----" not in content:
            yield error(f"{each.source} holds no certificate in PEM.", "Name a file with one.")
        elif b"PRIVATE KEY-----" in content:
            yield error(
                f"{each.source} holds a private key, which all users of the host could read.",
                "Name a file with the certificate only.",
            )


def cleared(plan: ClaudePlan | None, observed: Observation, kept: Sequence[Seat] = ()) -> Commands:
    """Remove all that is ours on a machine but in the homes, if anything is."""
    known = {*(links(plan) if plan else ())}
    clients = {binary(version) for version in plan.versions} if plan else set()
    ours = any((observed[Link(command)] or "").startswith(f"{ROOT}/") for command in known)
    if (
        ours
        or any(observed[File(path)] for path in (POLICY, SEATS))
        or any(observed[Exists(path)] for path in clients)
    ):
        known |= {f"{COMMANDS}/{each.command}" for each in left(plan, observed)}
        listed = (_listed(kept).content or b"").decode()
        clear = shell(FILES / "remove_clients.sh", policy=POLICY, list=SEATS, assignments=listed)
        yield script(_unlinked(known) + clear)


def _script(command: str) -> str:
    return f"{ROOT}/claude/commands/{command}"
