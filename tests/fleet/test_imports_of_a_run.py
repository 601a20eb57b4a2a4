"""What a run imports: every run pays for it before its first connection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

RUN = """\
import sys
from mirrorfleet.cli.live import session
session.start()
import mirrorfleet.cli.live.apply, mirrorfleet.cli.live.outcome, mirrorfleet.cli.live.screen
import mirrorfleet.deploys.mirror, mirrorfleet.runtime.inventory
from mirrorfleet import fleet
fleet.plan(fleet.load(sys.argv[1]))
print(*sys.modules)
"""
"""All that `mirrorfleet apply` imports for a fleet file without mistakes, before it connects."""

NOT_NEEDED = {
    "jsonschema": "only for a file with mistakes",
    "invoke.runners": "only for `Match exec` of an SSH configuration",
    "rich.table": "a run without a change prints a line",
    "http.server": "a program of hosts with Ollama",
    "urllib.request": "only for downloads",
    "cryptography.x509": "only for hosts with a certificate",
    "zoneinfo": "only for budgets",
    "mirrorfleet.jobs.verify": "only if a ring asks",
    "mirrorfleet.engines.vllm.sizing": "only for hosts with GPUs",
    "mirrorfleet.importing": "another command",
    "mirrorfleet.locking": "another command",
    "mirrorfleet.monitoring": "another command",
}
"""Modules that take long to import, or import many others, and why a run can do without."""

MODULES = 365
"""Maximum number of our own modules in a run. They take a third of its imports' time."""


def test_a_run_imports_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(HERE / "good" / "replicas.yml")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "mirrorfleet.roles.registry" in loaded
    assert not NOT_NEEDED.keys() & loaded
    assert len([module for module in loaded if module.split(".")[0] == "mirrorfleet"]) <= MODULES


def test_match_exec_of_an_ssh_configuration_still_works() -> None:
    program = (
        "from mirrorfleet.runtime import late_invoke; late_invoke.defer()\n"
        "import io, sys, paramiko\n"
        "assert 'invoke.runners' not in sys.modules\n"
        "config = paramiko.SSHConfig()\n"
        "config.parse(io.StringIO('Match exec \"true\"\\n  Port 2222\\n'))\n"
        "print(config.lookup('gpu-a')['port'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "2222\n"
