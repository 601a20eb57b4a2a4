"""Upgrades of Ollama: the role's real scripts, from the release to the models and the rollback."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mirrorfleet.planning import HostPlan
from mirrorfleet.planning.ollama import OllamaPlan
from mirrorfleet.roles.ollama import models, release
from mirrorfleet.roles.ollama.render import USER
from mirrorfleet.roles.ollama.role import Ollama
from mirrorfleet.runtime import generations
from mirrorfleet.runtime.commands import script
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.paths import ROOT
from tests.roles.answers import MACHINE, observation_of
from tests.roles.machine import Machine, as_root
from tests.roles.ollama_host import HELPER, OllamaHost
from tests.standins import ollama as standin

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("zstd"), reason="needs zstd")]

UNIT = "mirrorfleet-ollama.service"
FOUND = observation_of(MACHINE)
GROUP = "daemon" if not as_root() else "root"

# A stand-in for systemd: it starts the unit's program with the unit's environment.
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

# A stand-in for iproute2, which reports that the process of systemd listens.
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
    config = {"file": str(path), "sha256": standin.archive(path, version, **fault)}
    return host.plan(helper={**HELPER, "version": version, "release": config})


def roll_out(host: OllamaHost, plan: HostPlan) -> list[tuple[int, str]]:
    """Run the steps of the role until one fails; return their exit statuses and errors."""
    [ollama] = plan.engines_of(OllamaPlan)
    desired = Ollama().render(ollama, FOUND)
    # The paths of the unit are below the directory of this host.
    unit = desired.unit.replace(ROOT, str(host.machine.at(ROOT)))
    # The server of this host runs as the user of this process, which the canary compares.
    me = pwd.getpwuid(os.getuid()).pw_name
    hooks = desired.hooks.replace(f'"user": "{USER}"', f'"user": "{me}"')
    desired = replace(desired, user=GROUP, seconds=20, unit=unit, hooks=hooks)
    results = []
    for commands in (
        release.install(plan, FOUND, GROUP),
        generations.stage(desired, assumed()),
        generations.switch(desired, assumed()),
        models.make(ollama),
    ):
        done = host.run(commands)
        results.append((done.returncode, done.stderr))
        if done.returncode:
            break
    return results


def version(host: OllamaHost) -> str:
    found: str = host.ask("GET", "/api/version")["version"]
    return found


def test_an_upgrade_that_serves_the_same_models_stays(host: OllamaHost) -> None:
    assert roll_out(host, planned(host, "0.32.7")) == [(0, "")] * 4
    assert (version(host), host.window("helper")) == ("0.32.7", 65536)
    results = roll_out(host, planned(host, "0.40.1"))
    assert [status for status, _ in results] == [0] * 4
    # The report of the session that the new server must answer.
    assert results[2][1].startswith("helper: tool call      ok, the same whole and streamed\n")
    # Ollama reports no figures of its cache.
    assert "helper: canary: prefix cache not reported, first token " in results[2][1]
    assert (version(host), host.window("helper")) == ("0.40.1", 65536)


def test_an_upgrade_with_a_smaller_window_is_rolled_back(host: OllamaHost) -> None:
    roll_out(host, planned(host, "0.32.7"))
    results = roll_out(host, planned(host, "0.40.1", limit=32768))
    assert [code for code, _ in results] == [0, 0, 1]
    assert "helper: has a window of 32768, but the fleet file has context 65536" in results[-1][1]
    assert "rolled back to" in results[-1][1]
    assert (version(host), host.window("helper")) == ("0.32.7", 65536)
