"""Lock files of the fleet's own repository: the software that hosts get from them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mirrorfleet import lock_folders
from mirrorfleet.data import proposed
from mirrorfleet.planning import MigrationsPlan
from mirrorfleet.planning.vllm import VllmPlan
from mirrorfleet.roles.claude import client
from mirrorfleet.roles.litellm import software as litellm
from mirrorfleet.roles.migrations import wheel
from mirrorfleet.roles.vllm import software as vllm
from mirrorfleet.runtime.locks import for_host
from tests.roles.conftest import Planned

SHIPPED = lock_folders.SHIPPED


def own(project: Path, role: str, name: str, old: str, new: str) -> None:
    """Write a copy of a shipped lock file, with one change, into the project."""
    text = (SHIPPED / role / "locks" / name).read_text("utf-8")
    assert old in text
    path = project / "locks" / role / name
    path.parent.mkdir(parents=True)
    path.write_text(text.replace(old, new), "utf-8")


def test_environments_are_created_from_own_lock_files(plans: Planned, project: Path) -> None:
    before = plans("lab").hosts
    own(project, "litellm", f"{proposed('litellm')}.txt", "certifi==", "# note\ncertifi==")
    own(project, "vllm", "0.32.0-cpu.txt", "certifi==", "# note\ncertifi==")
    after = plans("lab").hosts
    for host in ("gw-1", "gpu"):
        [old, new] = [
            litellm.environment(plan.gateway)
            if plan.gateway
            else vllm.environment(plan.engines_of(VllmPlan)[0])
            for plan in (before[host], after[host])
        ]
        assert project in new.lock.parents
        assert old.directory != new.directory
        assert old.directory.rpartition("-")[0] == new.directory.rpartition("-")[0]


def test_the_tables_are_those_of_the_pinned_package(plans: Planned, project: Path) -> None:
    release = proposed("litellm")
    text = (SHIPPED / f"litellm/locks/{release}.txt").read_text("utf-8")
    [pin] = re.findall(r"^litellm-proxy-extras==\S+", text, re.M)
    own(project, "litellm", f"{release}.txt", pin, "litellm-proxy-extras==9.9.9")
    gateway = plans("prod").hosts["gw-a"].gateway
    assert gateway
    migrations = MigrationsPlan(gateway.version, gateway.lock, None, 5432, gateway.master_key, 30)
    assert wheel.release(migrations) == "litellm-proxy-extras 9.9.9"


def test_clients_are_checked_with_own_hashes(plans: Planned, project: Path) -> None:
    release = proposed("claude")
    shipped = json.loads((SHIPPED / f"claude/locks/{release}.json").read_text("utf-8"))
    digest = shipped["packages"]["x86_64"]["integrity"]
    mine = f"sha512-{'A' * 86}=="
    own(project, "claude", f"{release}.json", digest, mine)
    clients = plans("lab").hosts["dev"].clients
    assert clients
    name, integrity = client.pinned(clients, release)["Linux x86_64"]
    assert (name, integrity) == ("@anthropic-ai/claude-code-linux-x64", mine)


def test_comments_of_uv_are_not_sent_to_hosts() -> None:
    lock = f"a==1 \\\n    --hash=sha256:{'0' * 64}\n    # via b\n"
    assert for_host(lock, "3.11.2", "x86_64") == f"a==1 \\\n    --hash=sha256:{'0' * 64}\n"
