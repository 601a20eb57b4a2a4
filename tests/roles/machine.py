"""A host in a directory: real scripts run in a real shell, with paths moved below that directory.

Short stand-ins, first in the PATH, replace programs that need a booted system or other users.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.command import PyinfraCommand

from mirrorfleet.runtime.facts import Fact
from mirrorfleet.runtime.observe import Observation, parse, script
from tests.roles import programs
from tests.roles.fleets import stand_in

PLACES = (
    "/opt/mirrorfleet",
    "/var/lib/mirrorfleet",
    "/etc/systemd/system",
    "/etc/claude-code",
    "/usr/local/bin",
    "/proc",
    "/sys/bus/pci/devices",
)
"""Paths of a real host that Mirrorfleet's scripts contain."""

# A stand-in for util-linux: it runs every command as the user that runs the tests.
RUNUSER = """\
shift 2
[ "$1" != -- ] || shift
exec "$@"
"""

# A stand-in for libc's: each directory in home/ is a user's home.
GETENT = """\
shift
for name do [ ! -d "$ROOT/home/$name" ] || echo "$name:x:1000:1000::$ROOT/home/$name:/bin/sh"; done
"""


@cache
def as_root() -> list[str]:
    """Return the words before a command that needs root; skip the test if there is no way."""
    if os.geteuid() == 0:
        return []
    inside = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*inside, "true"], capture_output=True, timeout=120).returncode:
        pytest.skip("needs root, or user namespaces")
    return inside


class Machine:
    """A host below the directory ``root``, which is $ROOT for stand-ins."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = root / "stand-ins"
        for folder in (self.programs, *map(self.at, PLACES)):
            folder.mkdir(parents=True)
        self.add("runuser", RUNUSER)
        self.add("getent", GETENT)

    def at(self, path: str) -> Path:
        """Return the real place of a path of the host."""
        return self.root / path.lstrip("/")

    def add(self, program: str, text: str) -> None:
        """Add a stand-in for a program to the host."""
        (self.programs / program).parent.mkdir(parents=True, exist_ok=True)
        stand_in(self.programs / program, text)

    def run(self, command: PyinfraCommand) -> subprocess.CompletedProcess[str]:
        """Run a script of an operation, with its paths moved below ``root``."""
        text = str(command)
        stdin = "".join(command.connector_arguments.get("_stdin") or ())
        for place in PLACES:
            text = text.replace(place, str(self.at(place)))
            stdin = stdin.replace(f'"{place}', f'"{self.at(place)}')
        return self._run([*as_root(), "sh", "-c", text], stdin)

    def observe(
        self, *facts: Fact[Any], root: bool = False, shell: Sequence[str] = ("sh",)
    ) -> Observation:
        """Read facts with the real shell functions, without moving their paths.

        Set ``root`` if the owners of files matter.
        """
        done = self._run([*(as_root() if root else ()), *shell, "-s"], script(facts))
        assert (done.returncode, done.stderr) == (0, "")
        return parse(facts, done.stdout.splitlines())

    def observe_as_host(self, *facts: Fact[Any]) -> Observation:
        """Read facts with the paths of a real host, moved below ``root`` and back in the output."""
        text = script(facts)
        for place in PLACES:
            if place != "/proc":
                text = text.replace(place, str(self.at(place)))
        done = self._run([*as_root(), "sh", "-s"], text)
        assert (done.returncode, done.stderr) == (0, "")
        return parse(facts, done.stdout.replace(str(self.root), "").splitlines())

    def _run(self, command: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs}:{os.environ['PATH']}"
        return programs.run(command, stdin, os.environ | {"PATH": path, "ROOT": str(self.root)})
