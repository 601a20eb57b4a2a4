"""Packed files arrive unchanged, and the host describes them as computed on the controller."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.facts import Tree
from mirrorfleet.runtime.payload import UNPACK, Member, pack
from tests.roles.machine import Machine

# Only the real root can set a group other than root's.
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
    """Return a directory created like those of generations."""
    making = f"mkdir -m 750 {PLACE}\nchgrp {GROUP} {PLACE}\ncd {PLACE}\n{UNPACK}unpack\n"
    done = machine.run(script(making, pack(MEMBERS)))
    assert done.returncode == 0, done.stderr
    return machine.at(PLACE)


def test_content_mode_and_group_are_preserved(unpacked: Path) -> None:
    found = {path.name: path for path in unpacked.iterdir()}
    assert set(found) == {member.name for member in MEMBERS}
    for member in MEMBERS:
        path = found[member.name]
        assert path.read_bytes() == member.content
        assert f"{stat.S_IMODE(path.stat().st_mode):o}" == member.mode
        if os.geteuid() == 0:
            assert path.group() == member.group


def desired() -> dict[str, str]:
    files = {member.name: member.rights_and_digest for member in MEMBERS}
    return {"": f"750 root:{GROUP} directory", **files}


def test_the_host_describes_the_files_as_computed_on_the_controller(
    machine: Machine, unpacked: Path
) -> None:
    tree = Tree(str(unpacked))
    assert machine.observe(tree, root=True)[tree] == desired()


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
def test_any_change_on_the_host_is_observed(machine: Machine, unpacked: Path, change: str) -> None:
    assert machine.run(script(f"cd {PLACE}\n{change}")).returncode == 0
    tree = Tree(str(unpacked))
    assert machine.observe(tree, root=True)[tree] != desired()


def test_packing_is_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    once = pack(MEMBERS)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert pack(MEMBERS) == once
    assert pack(MEMBERS[1:]) != once
