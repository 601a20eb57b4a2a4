"""Claude Code on a developer's machine: the pinned client, the settings, the key."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from pyinfra.api import State, deploy
from pyinfra.context import ctx_state

from mirrorfleet import runtime
from mirrorfleet.planning import ClaudePlan, HostPlan
from mirrorfleet.planning.settings import KEY_FILE
from mirrorfleet.roles.claude import client, homes, machine, waiting, writing
from mirrorfleet.roles.claude.homes import Seat
from mirrorfleet.runtime import undone
from mirrorfleet.runtime.commands import Commands, operation
from mirrorfleet.runtime.files import HomeFile, install
from mirrorfleet.runtime.observe import Observation, Question, once
from mirrorfleet.runtime.report import Change, lacking
from mirrorfleet.runtime.rollout import answers_others, behind
from mirrorfleet.runtime.secrets import reveal
from mirrorfleet.runtime.upload import upload


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a machine: who works there, and who did."""
    asked = machine.questions(plan.clients)
    asked += [("own_client", user) for user in client.ordinary(plan.clients)]
    return [*asked, *(q for seat in machine.seats(plan.clients) for q in homes.questions(seat))]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why the developers of this machine cannot be given their client and settings."""
    left = machine.left(plan.clients, seen)
    whys: list[str] = [why for seat in left for why in homes.leaving(seat, seen)]
    if plan.clients is None:
        return whys
    for each in plan.clients.users:
        reveal(each.key)
    lacks = [*client.refusals(plan.clients, seen), *machine.refusals(plan.clients, seen)]
    return [
        *machine.unsound(plan.clients),
        *lacking("clients", lacks),
        *(why for each in plan.clients.users for why in homes.skipped(each, seen)),
        *whys,
    ]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed on a developer's machine, one by one."""
    if undone.skips(plan, "clients"):
        return
    for version in client.missing(plan.clients, seen) if plan.clients else ():
        yield Change(f"{client.binary(version)} is missing")
    users = plan.clients.users if plan.clients else ()
    mine = waiting.without(plan, wanted(plan, seen), seen)
    yield from homes.changes(mine, users, seen)
    if not waiting.policy(plan, seen):
        yield from machine.changes(plan.clients, seen, kept(machine.left(plan.clients, seen), seen))


def remarks(plan: HostPlan, seen: Observation) -> Iterator[str]:
    """Yield what a run leaves as it is, and a person may want to know."""
    yield from client.remarks(plan.clients, seen)


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring to this machine what the host will be sent."""
    if undone.skips(plan, "clients"):
        return
    if plan.clients:
        for version in client.missing(plan.clients, seen):
            client.package(plan.clients, version, seen)


@deploy("Claude Code")
def configure() -> None:
    """Install the client, and write what this machine's developers need, if it has any."""
    if undone.skips(runtime.plan(), "clients"):
        return
    put_client(name="client")
    settle(name="settings and keys")
    share(name="commands and policy")


@operation
def put_client() -> Commands:
    """Put the pinned clients on the machine, for all its users."""
    plan, seen = runtime.plan().clients, runtime.seen()
    if plan is None:
        return
    for version in client.missing(plan, seen):
        yield from upload(client.package(plan, version, seen), client.unpack(version))


@operation
def settle() -> Commands:
    """Write each developer's key and settings, as that developer; take back what others had."""
    plan, seen = runtime.plan(), runtime.seen()
    first = machine.known(plan.clients, seen)

    def mine(seen: Observation) -> list[HomeFile]:
        return waiting.without(plan, wanted(plan, seen), seen)

    yield from behind(answers_others, writing.settle(mine, seen, first))


@operation
def share() -> Commands:
    """Write the machine's policy and commands, once those who use them have their settings."""
    plan, seen = runtime.plan().clients, runtime.seen()
    former = machine.left(plan, seen)
    commands = install(
        machine.files(plan, kept(former, seen, undone.homes(runtime.plan()))),
        seen,
        first=machine.unlink(plan, seen),
        then=machine.relink(plan, seen),
    )
    if not waiting.policy(runtime.plan(), seen):
        yield from behind(answers_others, commands)


def taken() -> set[str]:
    """Return the keys that lay on machines of this run, and are to lie there no more."""
    run: State = ctx_state.get()  # type: ignore[no-untyped-call]
    found, wanted_now = set(), set()
    for each in run.inventory:
        seen: Observation | None = each.data.get("seen")
        for file in wanted(each.data.plan, seen) if seen else ():
            if file.path.endswith(f"/{KEY_FILE}"):
                there = seen.home_files.get((file.user, file.path)) if seen else None
                found.add(there.content if there else b"")
                wanted_now.add(file.content)
    # Whatever else a developer has put there is no key, and nobody's to ask with.
    return {key.decode() for key in found - wanted_now if LIKE_A_KEY.fullmatch(key)}


def kept(seats: Iterable[Seat], seen: Observation, missed: Collection[str] = ()) -> list[Seat]:
    """Return the seats that a run does not take back: homes that are broken, or were ``missed``."""
    return [
        seat
        for seat in seats
        if seat.user in seen.users and (seat.user in missed or any(homes.leaving(seat, seen)))
    ]


LIKE_A_KEY = re.compile(rb"[!-~]{8,200}")


def wanted(plan: HostPlan, seen: Observation) -> list[HomeFile]:
    """Return the files in the homes of a machine: of those who work there, and of those who did."""
    return _wanted(plan.clients, seen)


@once
def _wanted(plan: ClaudePlan | None, seen: Observation) -> list[HomeFile]:
    users = plan.users if plan else ()
    return [
        *(file for each in users for file in homes.files(each, seen)),
        *(
            file
            for seat in machine.left(plan, seen)
            if seat.user in seen.users
            for file in homes.former(seat, seen)
        ),
    ]
