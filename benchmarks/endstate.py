"""One end state for all contestants: a fleet file for Mirrorfleet, and variables for the peers.

Every host is a gateway, because a gateway has all parts of a service: a system user, a generation
of six files with their own modes and owners, a link to it, a unit, a running service.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from mirrorfleet import fleet, lock_folders
from mirrorfleet.config import Secret
from mirrorfleet.planning import LitellmPlan
from mirrorfleet.roles.litellm import paths, render
from mirrorfleet.runtime.observe import assumed
from mirrorfleet.runtime.python import Environment
from mirrorfleet.runtime.service import Service
from tests.lab import keys
from tests.lab.hosts import OPERATOR, Host

VERSION = "1.106.12"
SECRETS = {"BENCHMARK_MASTER_KEY": "sk-benchmark-master", "BENCHMARK_KEY": "sk-benchmark-provider"}
CONTEXT = 200_000


@dataclass(frozen=True)
class File:
    """A file of the end state; ``source`` has its content on this machine."""

    source: str
    path: str
    mode: str
    owner: str
    group: str


@dataclass(frozen=True)
class EndState:
    """The end state of a host in terms that every tool has: the variables of the peers."""

    user: str
    generations: str
    generation: str
    files: tuple[File, ...]
    link: str
    unit: str
    restart: str


def environment() -> str:
    """Return the directory of LiteLLM's environment on hosts."""
    return Environment("litellm", lock_folders.SHIPPED / f"litellm/locks/{VERSION}.txt").directory


def write_fleet(path: Path, machines: Sequence[Host], context: int) -> None:
    """Write the fleet file. Another ``context`` changes one line of config.yaml on every host."""
    names = [host.name for host in machines]
    models = {
        "cloud": {"id": "claude-sonnet-5-5", "context": context, "output": 32_000},
        "small": {"id": "claude-haiku-5-5", "context": CONTEXT, "output": 16_000},
    }
    common = {"provider": "anthropic", "api_key": {"env": "BENCHMARK_KEY"}}
    document = {
        "version": 1,
        "name": "benchmark",
        "ssh": {"user": OPERATOR, "key": str(keys.IDENTITY), "known_hosts": str(keys.KNOWN_HOSTS)},
        "packages": "controller",
        "hosts": {host.name: {"address": str(host.address)} for host in machines},
        "models": {name: common | model for name, model in models.items()},
        "gateway": {
            "hosts": names,
            "version": VERSION,
            "url": "http://benchmark.example",
            "workers": 2,
            "max_requests_before_restart": 20000,
            "master_key": {"env": "BENCHMARK_MASTER_KEY"},
        },
        "aliases": {"opus": "cloud", "sonnet": "cloud", "haiku": "small"},
        "fallbacks": {"cloud": ["small"]},
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")


def write_peers(fleet_file: Path, scratch: Path) -> None:
    """Write the peers' inventories and files, from what Mirrorfleet's roles would do."""
    planned = fleet.plan(fleet.load(fleet_file))
    known: dict[str, dict[str, Any]] = {}
    for name, host in planned.hosts.items():
        gateway = host.gateway
        assert gateway is not None
        secrets = _secrets(gateway.master_key, *(r.secrets["api_key"] for r in gateway.routes))
        service = render.service(gateway, environment(), secrets, assumed())
        state = _end_state(service, gateway, scratch / "files" / name)
        known[name] = {"address": planned.fleet.hosts[name].address, "state": asdict(state)}
    (scratch / "peers.json").write_text(json.dumps(known), "utf-8")
    inventory = {
        "all": {
            "hosts": {
                name: {"ansible_host": peer["address"], **peer["state"]}
                for name, peer in known.items()
            }
        }
    }
    (scratch / "ansible.yml").write_text(yaml.safe_dump(inventory), "utf-8")


def _secrets(*references: Secret) -> dict[Secret, str]:
    return {secret: SECRETS[secret.value] for secret in references}


def _end_state(service: Service, gateway: LitellmPlan, directory: Path) -> EndState:
    ready = f"curl -fs -m 5 -o /dev/null http://{gateway.listen}:{gateway.port}/health/readiness"
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for member in service.members():
        (directory / member.name).write_bytes(member.content)
        path = f"{service.generation_path}/{member.name}"
        files.append(
            File(str(directory / member.name), path, member.mode, member.owner, member.group)
        )
    unit = File(str(directory / service.unit_name), service.unit_path, "644", "root", "root")
    return EndState(
        user=service.user,
        generations=f"{service.directory}/generations",
        generation=service.generation_path,
        files=(*files, unit),
        link=f"{service.directory}/current",
        unit=service.unit_name,
        # One command for all peers, so that it costs them one exec.
        restart=(
            f"systemctl daemon-reload && systemctl restart {service.unit_name} && "
            f"timeout 30 sh -c 'until {ready}; do sleep 0.1; done'"
        ),
    )


RESET = f"""\
systemctl disable --quiet --now mirrorfleet-{paths.NAME}.service 2>/dev/null || :
rm -rf /etc/systemd/system/mirrorfleet-{paths.NAME}.service* /var/lib/mirrorfleet
cd {Path(environment()).parents[1]}
rm -rf current generations served
systemctl daemon-reload
! getent passwd {paths.USER} >/dev/null || userdel {paths.USER}
"""
"""Resets a host to its state before the first convergence; the environment stays."""
