"""A host in a directory: real scripts in a real shell, the places that they write moved below it.

What needs a booted system or other users is a stand-in of a few lines, first in the PATH.
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
"""The places of a real host that our scripts name."""

# A stand-in for util-linux: whoever is asked for, it is the one who runs the tests.
RUNUSER = """\
shift 2
[ "$1" != -- ] || shift
exec "$@"
"""

# A stand-in for libc's: everybody has a home of his name.
GETENT = """\
shift
for name do [ ! -d "$ROOT/home/$name" ] || echo "$name:x:1000:1000::$ROOT/home/$name:/bin/sh"; done
"""


@cache
def as_root() -> list[str]:
    """Return what goes before a command that wants to be root; skip the test where nothing can."""
    if os.geteuid() == 0:
        return []
    inside = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("needs root, or user namespaces")
    return inside


class Machine:
    """A host below ``root``. Stand-ins find that directory as $ROOT."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = root / "stand-ins"
        for folder in (self.programs, *map(self.at, PLACES)):
            folder.mkdir(parents=True)
        self.add("runuser", RUNUSER)
        self.add("getent", GETENT)

    def at(self, path: str) -> Path:
        """Return where a path of the host really is."""
        return self.root / path.lstrip("/")

    def add(self, program: str, text: str) -> None:
        """Give the host a stand-in for a program."""
        (self.programs / program).parent.mkdir(parents=True, exist_ok=True)
        stand_in(self.programs / program, text)

    def run(self, command: PyinfraCommand) -> subprocess.CompletedProcess[str]:
        """Run a script of an operation, moved below the root."""
        text = str(command)
        for place in PLACES:
            text = text.replace(place, str(self.at(place)))
        said = "".join(command.connector_arguments.get("_stdin") or ())
        return self._run([*as_root(), "sh", "-c", text], said)

    def look(
        self, *facts: Fact[Any], root: bool = False, shell: Sequence[str] = ("sh",)
    ) -> Observation:
        """Ask for the facts by the real shell functions; their paths are taken as they are.

        ``root`` is needed where the owners of files matter.
        """
        done = self._run([*(as_root() if root else ()), *shell, "-s"], script(facts))
        assert (done.returncode, done.stderr) == (0, "")
        return parse(facts, done.stdout.splitlines())

    def look_as_host(self, *facts: Fact[Any]) -> Observation:
        """Ask for the facts as of a real host: the places are moved, and moved back."""
        text = script(facts)
        for place in PLACES:
            if place != "/proc":
                text = text.replace(place, str(self.at(place)))
        done = self._run([*as_root(), "sh", "-s"], text)
        assert (done.returncode, done.stderr) == (0, "")
        return parse(facts, done.stdout.replace(str(self.root), "").splitlines())

    def _run(self, command: list[str], said: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs}:{os.environ['PATH']}"
        return programs.run(command, said, os.environ | {"PATH": path, "ROOT": str(self.root)})
