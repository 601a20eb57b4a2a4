"""Upgrading Ollama: the role's real scripts from the release to the models, and back again."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import models, release
from mirrorfleet.roles.ollama.role import Ollama
from mirrorfleet.runtime import generations
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.paths import ROOT
from tests.roles.answers import MACHINE, seen
from tests.roles.machine import Machine, as_root
from tests.roles.ollama_host import HELPER, OllamaHost
from tests.standins import ollama as standin

pytestmark = pytest.mark.skipif(not shutil.which("zstd"), reason="needs zstd")

UNIT = "mirrorfleet-ollama.service"
FOUND = seen(MACHINE)
GROUP = "daemon" if not as_root() else "root"

# A stand-in for systemd: it starts what the unit says, with the environment that the unit names.
SYSTEMCTL = """\
cd "$ROOT/opt/mirrorfleet/ollama"
halt() { [ ! -e "$ROOT/pid" ] || kill "$(cat "$ROOT/pid")"; rm -f "$ROOT/pid"; }
case "$*" in
    restart*)
        halt
        program=$(sed -n 's/^ExecStart=//p' "$ROOT/etc/systemd/system/UNIT")
        sed "s|/var/lib/mirrorfleet|$ROOT&|" current/environment >"$ROOT/environment"
        (
            set -a; . "$ROOT/environment"; exec 9>&-
            exec PYTHON "${program% serve}" serve >"$ROOT/log" 2>&1
        ) &
        echo $! >"$ROOT/pid" ;;
    stop*) halt ;;
    'show -p NRestarts'*) echo 0 ;;
esac
"""

# A stand-in for iproute2, which says that whoever listens is the process that systemd started.
SS = """\
[ -e "$ROOT/pid" ] && echo 'LISTEN 0 9 127.0.0.1:0 0.0.0.0:* users:(("ollama",pid=7,fd=3))'
"""


@pytest.fixture
def host(machine: Machine) -> Iterator[OllamaHost]:
    found = OllamaHost(machine)
    systemctl = SYSTEMCTL.replace("UNIT", UNIT).replace("PYTHON", sys.executable)
    machine.add("systemctl", systemctl)
    machine.add("ss", SS)
    machine.add("journalctl", "echo its last words")
    cgroup = machine.at("/proc/7/cgroup")
    cgroup.parent.mkdir()
    cgroup.write_text(f"0::/system.slice/{UNIT}\n")
    yield found
    found.run([script("systemctl stop\n")])


def planned(host: OllamaHost, version: str, **fault: int) -> HostPlan:
    """Return the plan for a release of this version, which is packed beside the fleet file."""
    path = host.machine.root / f"ollama-{version}.tar.zst"
    said = {"file": str(path), "sha256": standin.archive(path, version, **fault)}
    return host.plan(helper={**HELPER, "version": version, "release": said})


def roll_out(host: OllamaHost, plan: HostPlan) -> list[tuple[int, str]]:
    """Run the steps of the role until one fails; return what each said."""
    [ollama] = plan.engines_of(OllamaPlan)
    wanted = Ollama().render(ollama, FOUND)
    # The unit names the places of this host, which are below its directory.
    unit = wanted.unit.replace(ROOT, str(host.machine.at(ROOT)))
    wanted = replace(wanted, user=GROUP, seconds=20, unit=unit)
    told = []
    for commands in (
        release.install(plan, FOUND, GROUP),
        generations.place(wanted, assumed()),
        generations.switch(wanted, assumed()),
        models.make(ollama),
    ):
        done = host.run(commands)
        told.append((done.returncode, done.stderr))
        if done.returncode:
            break
    return told


def version(host: OllamaHost) -> str:
    found: str = host.ask("GET", "/api/version")["version"]
    return found


def test_an_upgrade_that_serves_what_was_served_stays(host: OllamaHost) -> None:
    assert roll_out(host, planned(host, "0.32.7")) == [(0, "")] * 4
    assert (version(host), host.window("helper")) == ("0.32.7", 65536)
    assert roll_out(host, planned(host, "0.40.1")) == [(0, "")] * 4
    assert (version(host), host.window("helper")) == ("0.40.1", 65536)


def test_an_upgrade_that_gives_a_smaller_window_is_taken_back(host: OllamaHost) -> None:
    roll_out(host, planned(host, "0.32.7"))
    told = roll_out(host, planned(host, "0.40.1", limit=32768))
    assert [code for code, _ in told] == [0, 0, 1]
    assert "helper: has a window of 32768, and the fleet file says 65536" in told[-1][1]
    assert "rolled back to" in told[-1][1]
    assert (version(host), host.window("helper")) == ("0.32.7", 65536)
