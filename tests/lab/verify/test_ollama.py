"""Ollama beside vLLM on the engine host, provisioned by its role; the server is a stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look
from tests.standins import ollama

UNIT = "mirrorfleet-ollama.service"
PORT = 11434


@pytest.fixture(scope="module")
def helper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Provision the lab's fleet with models on Ollama; remove them at the end."""
    fleet = _fleet(tmp_path_factory.mktemp("first"), "0.40.1")
    done = look.mirror("--limit", "gpu", fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    yield fleet
    look.mirror()
    look.run("gpu", "rm -rf /opt/mirrorfleet/ollama")


def _fleet(directory: Path, version: str, limit: int = ollama.UNLIMITED) -> Path:
    release = directory / "ollama.tar.zst"
    digest = ollama.archive(release, version, limit)
    (directory / "own.gguf").write_bytes(b"GGUF, the only bytes that the stand-in checks")
    (directory / "own.modelfile").write_text("FROM own.gguf\n")
    models = (
        f"own: {{engine: ollama, weights: {{modelfile: {directory}/own.modelfile}}, hosts: [gpu], "
        "context: 65536, output: 8192}\n  "
        f"helper: {{engine: ollama, version: {version}, weights: 'qwen3:4b', hosts: [gpu], "
        f"release: {{file: {release}, sha256: {digest}}}, context: 65536, output: 8192}}"
    )
    return look.variant(directory, "models:\n", f"models:\n  {models}\n")


@pytest.mark.parametrize("name", ["helper", "own"])
def test_it_answers_with_the_declared_window(helper: Path, name: str) -> None:
    """A model from a tag, and one from a file of this machine."""
    body = {
        "model": name,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    status, reply = look.http_status("gpu", PORT, "/v1/messages", body=body)
    assert status == 200, reply
    assert "stand-in for Ollama" in reply
    loaded = json.loads(look.http_status("gpu", PORT, "/api/ps")[1])["models"]
    assert {model["context_length"] for model in loaded} == {65536}


def test_its_unit_is_sandboxed(helper: Path) -> None:
    pids = look.run("gpu", f"cat /sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs").split()
    users = {look.on("gpu").process.get(pid=int(pid)).user for pid in pids}
    assert users == {"mirrorfleet-ollama"}
    exposure = look.on("gpu").run(f"systemd-analyze security --threshold=40 {UNIT}")
    assert exposure.rc == 0, exposure.stdout


def test_a_second_run_changes_nothing(helper: Path) -> None:
    assert look.changes(look.mirror("--json", "--limit", "gpu", fleet=helper)) == []


def test_a_release_with_a_smaller_window_is_rolled_back(helper: Path, tmp_path: Path) -> None:
    done = look.mirror("--limit", "gpu", fleet=_fleet(tmp_path, "0.40.2", limit=32768))
    assert done.returncode == 1
    assert "rolled back to" in done.stdout + done.stderr
    assert json.loads(look.http_status("gpu", PORT, "/api/version")[1]) == {"version": "0.40.1"}
    assert look.changes(look.mirror("--json", "--limit", "gpu", fleet=helper)) == []


def test_removed_from_the_fleet_file_it_is_removed_with_its_firewall_rules(helper: Path) -> None:
    """But not in a run without the gateways. Its models stay on the host."""
    limited = look.mirror("--json", "--limit", "gpu")
    assert look.changes(limited) == []
    assert f"{UNIT} will be removed once gw-1, gw-2, dev" in look.plain(limited.stderr)
    assert look.changes(look.mirror("--json")) == [
        "gpu: Ollama | services that are no longer in the fleet file",
        "gpu: Firewall | rules: as the fleet file says",
    ]
    assert not look.on("gpu").service(UNIT).exists
    assert str(PORT) not in look.run("gpu", "nft list ruleset; ss -Hltn")
    assert look.run("gpu", "ls /var/lib/mirrorfleet/ollama/models")
    assert look.changes(look.mirror("--json")) == []
