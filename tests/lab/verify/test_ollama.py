"""Ollama beside vLLM on the engine host, as the role provisions it; its program is the stand-in."""

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
    """The lab's fleet with a model on Ollama, provisioned; none of it is left afterwards."""
    fleet = _fleet(tmp_path_factory.mktemp("first"), "0.40.1")
    done = look.mirror("--limit", "gpu", fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    yield fleet
    look.mirror()
    look.run("gpu", "rm -rf /opt/mirrorfleet/ollama")


def _fleet(directory: Path, version: str, limit: int = ollama.UNLIMITED) -> Path:
    release = directory / "ollama.tar.zst"
    digest = ollama.archive(release, version, limit)
    (directory / "own.gguf").write_bytes(b"GGUF, and no more: the stand-in looks no further")
    (directory / "own.modelfile").write_text("FROM own.gguf\n")
    said = (
        f"own: {{engine: ollama, weights: {{modelfile: {directory}/own.modelfile}}, hosts: [gpu], "
        "context: 65536, output: 8192}\n  "
        f"helper: {{engine: ollama, version: {version}, weights: 'qwen3:4b', hosts: [gpu], "
        f"release: {{file: {release}, sha256: {digest}}}, context: 65536, output: 8192}}"
    )
    return look.variant(directory, "models:\n", f"models:\n  {said}\n")


@pytest.mark.parametrize("name", ["helper", "own"])
def test_it_answers_with_the_window_that_was_declared(helper: Path, name: str) -> None:
    """From a tag, and from a file of this machine."""
    body = {
        "model": name,
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    status, said = look.http_status("gpu", PORT, "/v1/messages", body=body)
    assert status == 200, said
    assert "stand-in for Ollama" in said
    loaded = json.loads(look.http_status("gpu", PORT, "/api/ps")[1])["models"]
    assert {each["context_length"] for each in loaded} == {65536}


def test_it_is_confined_like_the_other_engine(helper: Path) -> None:
    pids = look.run("gpu", f"cat /sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs").split()
    users = {look.on("gpu").process.get(pid=int(pid)).user for pid in pids}
    assert users == {"mirrorfleet-ollama"}
    exposure = look.on("gpu").run(f"systemd-analyze security --threshold=40 {UNIT}")
    assert exposure.rc == 0, exposure.stdout


def test_a_second_run_changes_nothing(helper: Path) -> None:
    assert look.changes(look.mirror("--json", "--limit", "gpu", fleet=helper)) == []


def test_a_release_that_cuts_the_window_is_taken_back(helper: Path, tmp_path: Path) -> None:
    done = look.mirror("--limit", "gpu", fleet=_fleet(tmp_path, "0.40.2", limit=32768))
    assert done.returncode == 1
    assert "rolled back to" in done.stdout + done.stderr
    assert json.loads(look.http_status("gpu", PORT, "/api/version")[1]) == {"version": "0.40.1"}
    assert look.changes(look.mirror("--json", "--limit", "gpu", fleet=helper)) == []


def test_without_a_word_in_the_fleet_file_it_leaves_and_its_door_is_gone(helper: Path) -> None:
    """Not in a run that leaves the gateways out; its models stay for whoever comes back."""
    limited = look.mirror("--json", "--limit", "gpu")
    assert look.changes(limited) == []
    assert f"{UNIT} will be removed once gw-1, gw-2, dev" in look.plain(limited.stderr)
    assert look.changes(look.mirror("--json")) == [
        "gpu: Ollama | services that left the fleet file",
        "gpu: Firewall | rules: as the fleet file says",
    ]
    assert not look.on("gpu").service(UNIT).exists
    assert str(PORT) not in look.run("gpu", "nft list ruleset; ss -Hltn")
    assert look.run("gpu", "ls /var/lib/mirrorfleet/ollama/models")
    assert look.changes(look.mirror("--json")) == []
