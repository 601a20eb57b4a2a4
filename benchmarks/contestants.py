"""The contestants: for each a command, and a function that counts changes in its output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.endstate import SECRETS
from benchmarks.machine import REPOSITORY, VENV
from mirrorfleet.roles.claude.role import Claude
from mirrorfleet.roles.litellm.role import Litellm
from mirrorfleet.roles.vllm.role import Vllm
from mirrorfleet.runtime.observe import script
from tests.lab import keys

ANSIBLE = Path(__file__).parent / "peers" / "ansible"


@dataclass(frozen=True)
class Contestant:
    """A tool. ``changes`` counts the changes in standard output; the floor changes nothing."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    changes: Callable[[str], int] | None = None


def all_contestants(scratch: Path, forks: int, mitogen: Path | None) -> list[Contestant]:
    """Return the contestants, Mirrorfleet last; their files are in ``scratch``.

    So runs without a change are measured on hosts as Mirrorfleet left them, with old generations
    removed.
    """
    contestants = [*_floors(scratch), _ansible(scratch, forks)]
    if mitogen:
        contestants.append(_mitogen(scratch, forks, mitogen))
    return [*contestants, _pyinfra(scratch), mirrorfleet(scratch)]


def mirrorfleet(scratch: Path) -> Contestant:
    """Return the real deploy, on the generated fleet file."""
    return Contestant(
        "mirrorfleet",
        (f"{VENV}/pyinfra", "-y", "--json", "benchmarks/inventory.py", "deploys/mirror.py"),
        {"BENCHMARK_FLEET": str(scratch / "fleet.yml"), **SECRETS},
        _changed_by_pyinfra,
    )


def write_observation(scratch: Path) -> None:
    """Write the script that Mirrorfleet sends to a host, for the second floor."""
    from mirrorfleet import fleet

    planned = fleet.plan(fleet.load(scratch / "fleet.yml"))
    plan = next(iter(planned.hosts.values()))
    roles = (Vllm(), Litellm(), Claude())
    facts = [fact for role in roles for fact in role.facts(plan)]
    (scratch / "observe.sh").write_text(script(facts), "utf-8")


def run(contestant: Contestant) -> subprocess.CompletedProcess[str]:
    """Run a contestant. Raises ``RuntimeError`` with the end of its output if it fails."""
    done = subprocess.run(
        contestant.command,
        cwd=REPOSITORY,
        env=os.environ | contestant.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        output = (done.stdout + done.stderr)[-3000:]
        raise RuntimeError(f"{contestant.name} failed with status {done.returncode}:\n{output}")
    return done


def _floors(scratch: Path) -> list[Contestant]:
    floor = (sys.executable, "-m", "benchmarks.peers.floor", str(scratch / "peers.json"))
    return [
        Contestant("floor", floor),
        Contestant("floor, observing", (*floor, str(scratch / "observe.sh"))),
    ]


def _pyinfra(scratch: Path) -> Contestant:
    return Contestant(
        "pyinfra",
        (
            *(f"{VENV}/pyinfra", "-y", "--json"),
            *("benchmarks/peers/inventory.py", "benchmarks/peers/idiomatic.py"),
        ),
        {"BENCHMARK_PEERS": str(scratch / "peers.json")},
        _changed_by_pyinfra,
    )


def _ansible(scratch: Path, forks: int) -> Contestant:
    ssh = ["-F", str(keys.SSH_CONFIG), "-o", "ControlMaster=auto", "-o", "ControlPersist=600s"]
    return Contestant(
        "ansible",
        (
            *(f"{VENV}/ansible-playbook", "-i", str(scratch / "ansible.yml")),
            *("--forks", str(forks), str(ANSIBLE / "site.yml")),
        ),
        {
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_HOME": str(scratch / "ansible"),
            "ANSIBLE_SSH_ARGS": " ".join(ssh),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(scratch / "cp"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            "PATH": f"{VENV}:{os.environ['PATH']}",
        },
        _changed_by_ansible,
    )


def _mitogen(scratch: Path, forks: int, library: Path) -> Contestant:
    plain = _ansible(scratch, forks)
    plugins = library / "ansible_mitogen" / "plugins" / "strategy"
    more = {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(plugins),
        "PYTHONPATH": str(library),
        # Mitogen does not share connections between runs.
        "ANSIBLE_SSH_ARGS": f"-F {keys.SSH_CONFIG}",
    }
    changes = plain.changes
    return Contestant("ansible + mitogen", plain.command, {**plain.environment, **more}, changes)


def install_mitogen(scratch: Path) -> Path | None:
    """Install Mitogen for this benchmark; on failure print that and return ``None``."""
    library = scratch / "mitogen"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command += ["--no-deps", "--require-hashes", "--target", str(library)]
    command += ["--requirement", str(ANSIBLE / "mitogen.txt")]
    if subprocess.run(command).returncode == 0:
        return library
    print("benchmark: cannot install Mitogen: Ansible runs only without it")
    return None


def _changed_by_pyinfra(output: str) -> int:
    changed: int = json.loads(output)["results"]["totals"]["success"]
    return changed


def _changed_by_ansible(output: str) -> int:
    return sum(map(int, re.findall(r"\bchanged=(\d+)", output)))
