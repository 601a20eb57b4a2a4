"""What is packed here is there after unpacking, and a host describes it as it was meant."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.facts import Tree
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from tests.roles.machine import Machine

# Another group than root's can be given to a file by the real root only.
GROUP = "daemon" if os.geteuid() == 0 else "root"
PLACE = "/opt/mirrorfleet/x"
MEMBERS = [
    Member("environment", b'KEY="secret"\n', "600"),
    Member("mirrorfleet-x.service", b"[Unit]\n"),
    Member("config.yaml", "über: 'µ'\n".encode(), "640", group=GROUP),
    Member("empty", b"", "640", group=GROUP),
    Member("Z-sorted-before-a", b"\0\1\2", "755"),
]


@pytest.fixture
def unpacked(machine: Machine) -> Path:
    """A directory made as service.place makes it."""
    making = f"mkdir -m 750 {PLACE}\nchgrp {GROUP} {PLACE}\ncd {PLACE}\n{UNPACK}unpack\n"
    done = machine.run(script(making, pack(MEMBERS)))
    assert done.returncode == 0, done.stderr
    return machine.at(PLACE)


def test_content_mode_and_group_arrive(unpacked: Path) -> None:
    found = {path.name: path for path in unpacked.iterdir()}
    assert set(found) == {member.name for member in MEMBERS}
    for member in MEMBERS:
        path = found[member.name]
        assert path.read_bytes() == member.content
        assert f"{stat.S_IMODE(path.stat().st_mode):o}" == member.mode
        if os.geteuid() == 0:
            assert path.group() == member.group


def wanted() -> dict[str, str]:
    files = {member.name: member.rights_and_digest for member in MEMBERS}
    return {"": f"750 root:{GROUP} directory", **files}


def test_the_host_tells_of_them_what_was_computed_here(machine: Machine, unpacked: Path) -> None:
    tree = Tree(str(unpacked))
    assert machine.look(tree, root=True)[tree] == wanted()


@pytest.mark.parametrize(
    "change",
    [
        "echo x >>environment",
        "chmod 644 environment",
        "touch another",
        "mkdir folder",
        "rm empty",
        "mv empty full",
        "chmod 755 .",
        "ln -sf /etc/passwd empty",
    ],
)
def test_whatever_another_hand_changes_is_seen(
    machine: Machine, unpacked: Path, change: str
) -> None:
    assert machine.run(script(f"cd {PLACE}\n{change}")).returncode == 0
    tree = Tree(str(unpacked))
    assert machine.look(tree, root=True)[tree] != wanted()


def test_the_same_files_are_the_same_text_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    once = pack(MEMBERS)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert pack(MEMBERS) == once
    assert pack(MEMBERS[1:]) != once
