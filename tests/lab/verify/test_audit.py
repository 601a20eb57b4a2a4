"""`mirrorfleet audit` on the lab: what runs there, and a client that a user installed."""

import json
import subprocess
from typing import Any

from tests.lab import look, paths

OWN = "/home/dev/.local/share/claude/versions"


def audit() -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [".venv/bin/mirrorfleet", "audit", "inventories/lab.yml", "--json"],
        cwd=paths.REPOSITORY,
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    assert report["unreachable"] == {}
    return done.returncode, report["findings"]


def test_the_releases_of_the_lab() -> None:
    _, found = audit()
    states = {(one["package"], one["state"]) for one in found}
    assert states == {("litellm", "no fix"), ("vllm", "no fix")}
    [gateway] = [one for one in found if one["package"] == "litellm"]
    assert gateway["places"] == ["gateway.version", "gw-1", "gw-2"]


def test_a_client_that_a_user_installed() -> None:
    look.run("dev", f"mkdir -p {OWN}/2.1.100")
    try:
        code, found = audit()
    finally:
        look.run("dev", f"rm -r {OWN}")
    assert code == 1
    assert {
        (one["version"], *one["places"]) for one in found if one["package"].endswith("claude-code")
    } == {("2.1.100", "dev")}
