"""Claude Code's settings, keys, commands and clients on a developer's machine."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from mirrorfleet.data import proposed
from mirrorfleet.planning import HostPlan
from mirrorfleet.roles.claude import client, home_files, machine_files, removal
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.runtime.facts import Exists
from mirrorfleet.runtime.files import install, write
from mirrorfleet.runtime.observe import Observation
from mirrorfleet.runtime.upload import upload
from tests.kills.case import Case
from tests.kills.world import Host
from tests.roles.fleets import good

USERS = ("ada", "grace", "linus")
KEYS = ("STAFF_KEY", "GUESTS_KEY", "LAB_KEY", "OUTSIDE_KEY", "KEY", "CLOUD_KEY")

OWN = {
    "ada/.claude.json": {"numStartups": 7},
    "linus/.claude/settings.json": {"theme": "dark", "permissions": {"allow": ["WebFetch"]}},
}
"""What the developers have written themselves."""

VERSION = proposed("claude")


def cases() -> Iterator[Case]:
    os.environ |= {name: f"sk-{name.lower()}-of-the-tests" for name in KEYS}
    plan = good("scopes").hosts["dev"]
    yield Case(
        "settings, keys, commands and policy",
        [*Claude().facts(plan)],
        lambda observed: _written(plan, observed),
        _homes,
    )

    def installed(host: Host) -> None:
        _homes(host)
        for command in _written(plan, host.observe(Claude().facts(plan))):
            host.complete(command)

    yield Case(
        "settings, keys, commands and policy: removal",
        [*removal.ClaudeRemoval().facts(plan)],
        lambda observed: _removed(plan, observed),
        installed,
    )
    binary = client.binary(VERSION)
    yield Case(
        "client: upload and installation",
        [Exists(binary)],
        lambda observed: (
            () if observed[Exists(binary)] else upload(_package(), client.unpack(VERSION))
        ),
    )


def _homes(host: Host) -> None:
    for user in USERS:
        host.call("useradd", "--create-home", user)
    for path, content in OWN.items():
        user = path.partition("/")[0]
        write_file = 'mkdir -p "${0%/*}" && cat >"$0"'
        host.call(
            "runuser", "-u", user, "--", "sh", "-c", write_file, f"/home/{path}",
            stdin=json.dumps(content),
        )  # fmt: skip


def _written(plan: HostPlan, observed: Observation) -> list[PyinfraCommand]:
    """Return the commands of mirror.py for the homes and the machine's files."""
    return [
        *write(home_files.desired(plan, observed), observed, _skipped),
        *install(
            machine_files.files(plan.clients),
            observed,
            first=machine_files.unlink(plan.clients, observed),
            then=machine_files.relink(plan.clients, observed),
        ),
    ]


def _removed(plan: HostPlan, observed: Observation) -> list[PyinfraCommand]:
    """Return the commands of remove_clients.py."""
    return [
        *write(removal.restored_files(plan, observed), observed, _skipped),
        *machine_files.remove_all(plan.clients, observed),
    ]


def _skipped(*outcome: str) -> None:
    raise AssertionError(outcome)


def _package() -> io.BytesIO:
    """Return a package like that of npm, with a file of some megabytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, size in (("package/claude", 3_000_000), ("package/package.json", 100)):
            entry = tarfile.TarInfo(name)
            entry.size = size
            archive.addfile(
                entry, io.BytesIO(bytes(range(256)) * (size // 256) + bytes(size % 256))
            )
    return packed
