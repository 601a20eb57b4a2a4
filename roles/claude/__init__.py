"""Claude Code on a developer's machine: the pinned client, the settings, the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyinfra.api import deploy

from fleet.clients import ClientPlan
from fleet.plan import HostPlan
from roles import host
from roles.claude.render import NotOurs, merged, ours
from roles.host.cache import npm_package
from roles.host.commands import Commands, operation, script
from roles.host.files import HomeFile, outdated, write
from roles.host.observe import Observation, Question
from roles.host.places import ROOT
from roles.host.report import Change
from roles.host.secrets import reveal
from roles.host.upload import upload

SETTINGS = ".claude/settings.json"
STATE = ".claude.json"
COMMAND = "/usr/local/bin/claude"


def questions(plan: HostPlan) -> list[Question]:
    """What must be known of a developer's machine."""
    if plan.clients is None:
        return []
    return [
        ("path", binary(plan)),
        ("link", COMMAND),
        ("path", COMMAND),
        *(("user", client.user) for client in plan.clients.users),
        *(
            ("home_file", client.user, path)
            for client in plan.clients.users
            for path in (SETTINGS, STATE, client.key_file)
        ),
    ]


def refusals(plan: HostPlan, seen: Observation) -> list[str]:
    """Why the developers of this machine cannot be given their client and settings."""
    if plan.clients is None:
        return []
    for client in plan.clients.users:
        reveal(client.key)
    return [
        *_client_refusals(plan, seen),
        *(why for client in plan.clients.users for why in _user_refusals(client, seen)),
    ]


def changes(plan: HostPlan, seen: Observation) -> Iterator[Change]:
    """All that will be changed on a developer's machine, one by one."""
    if plan.clients is None:
        return
    if binary(plan) not in seen.paths:
        yield Change(f"{binary(plan)} is missing")
    if seen.links.get(COMMAND) != binary(plan):
        yield Change(f"{COMMAND} leads to {seen.links.get(COMMAND, 'nothing')}")
    for client in plan.clients.users:
        yield from _user_changes(client, seen)


def fetch(plan: HostPlan, seen: Observation) -> None:
    """Bring to this machine what the host will be sent."""
    if plan.clients is not None and binary(plan) not in seen.paths:
        _client(plan, seen)


@deploy("Claude Code")
def configure() -> None:
    """Install the client and write the settings of this machine's developers, if it has any."""
    if not host.plan().clients:
        return
    install(name="client")
    settle(name="settings and keys")


@operation
def install() -> Commands:
    """Put the pinned client on the machine, for all its users."""
    plan, seen = host.plan(), host.seen()
    if plan.clients is None:
        return
    target = binary(plan)
    if target not in seen.paths:
        yield from upload(
            _client(plan, seen),
            f"tar -xzf upload --no-same-owner package/claude\n"
            f"install -D -m 755 package/claude {target}.new\n"
            f"mv {target}.new {target}",
        )
    if seen.links.get(COMMAND) != target:
        yield script(f"ln -sfn {target} {COMMAND}.new && mv -fT {COMMAND}.new {COMMAND}")


@operation
def settle() -> Commands:
    """Write each developer's key and the settings that the fleet owns, as that developer."""
    plan, seen = host.plan(), host.seen()
    if plan.clients:
        files = [file for client in plan.clients.users for file in _files(client, seen)]
        yield from write(files, seen)


def binary(plan: HostPlan) -> str:
    """Return where the pinned client stands; another version is another directory."""
    assert plan.clients is not None
    return f"{ROOT}/claude/{plan.clients.version}/claude"


def _files(client: ClientPlan, seen: Observation) -> list[HomeFile]:
    def file(path: str, owned: Any) -> HomeFile:
        there = seen.home_files.get((client.user, path))
        content = merged(there.content if there else None, owned)
        return HomeFile(client.user, path, content, there.mode if there else "600")

    return [
        HomeFile(client.user, client.key_file, reveal(client.key).encode()),
        file(SETTINGS, client.settings),
        file(STATE, client.state),
    ]


def _user_changes(client: ClientPlan, seen: Observation) -> Iterator[Change]:
    owned = {SETTINGS: client.settings, STATE: client.state}
    for file in outdated(_files(client, seen), seen):
        there = seen.home_files.get((file.user, file.path))
        what = f"~{file.user}/{file.path} {file.how(there)}"
        if file.path not in owned:
            yield Change(what)
            continue
        before = ours(there.content if there else None, owned[file.path])
        yield Change(what, before=before, new=ours(file.content, owned[file.path]))


def _user_refusals(client: ClientPlan, seen: Observation) -> Iterator[str]:
    if client.user not in seen.users:
        yield f"has no user '{client.user}'. Create the login first."
        return
    for path, owned in ((SETTINGS, client.settings), (STATE, client.state)):
        there = seen.home_files.get((client.user, path))
        try:
            merged(there.content if there else None, owned)
        except NotOurs as error:
            yield (
                f"has a ~{client.user}/{path} that {error}; it is the developer's, so it stays. "
                "Mend or move it, then run again."
            )


def _client_refusals(plan: HostPlan, seen: Observation) -> Iterator[str]:
    if not _lock_file(plan).exists():
        known = ", ".join(sorted(path.stem for path in _lock_file(plan).parent.glob("*.json")))
        yield f"wants a Claude Code that no lock file pins. Pinned are: {known}."
    elif seen.architecture not in _lock(plan)["packages"]:
        yield f"is {seen.architecture}, for which no client is pinned."
    if COMMAND in seen.paths and not seen.links.get(COMMAND, "").startswith(f"{ROOT}/"):
        yield f"has a {COMMAND} that is not ours. Remove it, then run again."


def _lock_file(plan: HostPlan) -> Path:
    assert plan.clients is not None
    return Path(__file__).parent / "locks" / f"{plan.clients.version}.json"


def _lock(plan: HostPlan) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_lock_file(plan).read_text(encoding="utf-8"))
    return content


def _client(plan: HostPlan, seen: Observation) -> Path:
    lock = _lock(plan)
    package = lock["packages"][seen.architecture]
    return npm_package(package["name"], lock["version"], package["integrity"])
