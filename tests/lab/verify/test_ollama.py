"""Ollama beside vLLM on the engine host, provisioned by its role; the server is a stand-in."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look
from tests.standins import ollama
from tests.standins.ollama import real_store

UNIT = "mirrorfleet-ollama.service"
PORT = 11434

HOLD = """\
cat >/tmp/hold.py <<'END'
import socket, sys, time
there = socket.create_connection((sys.argv[1], PORT))
there.sendall(b"POST /v1/messages HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 99\\r\\n\\r\\n{")
time.sleep(900)
END
address=$(ss -Hltn "sport = :PORT" | awk '{ sub(/:[0-9]*$/, "", $4); print $4 }')
setsid python3 /tmp/hold.py "$address" >/dev/null 2>&1 </dev/null &
sleep 1
""".replace("PORT", str(PORT))
"""Begin a request whose body never ends; a slow machine takes minutes until the restart."""

RELEASE = "pkill -f '[h]old.py' || true"


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
    real_store.write(directory / "store", "team/coder:7b", b"GGUF of a store")
    models = (
        f"own: {{engine: ollama, weights: {{modelfile: {directory}/own.modelfile}}, hosts: [gpu], "
        "context: 65536, output: 8192}\n  "
        f"pushed: {{engine: ollama, weights: {{push: {directory}/store}}, hosts: [gpu], "
        "context: 65536, output: 8192, restart_wait: 20s}\n  "
        f"helper: {{engine: ollama, version: {version}, weights: 'qwen3:4b', hosts: [gpu], "
        f"release: {{file: {release}, sha256: {digest}}}, context: 65536, output: 8192}}"
    )
    return look.variant(directory, "models:\n", f"models:\n  {models}\n")


@pytest.mark.parametrize("name", ["helper", "own", "pushed"])
def test_it_answers_with_the_declared_window(helper: Path, name: str) -> None:
    """A model from a tag, one from a file of this machine, and one from a store of it."""
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


def test_a_planned_restart_waits_for_the_turn_in_flight(helper: Path, tmp_path: Path) -> None:
    """A request whose body is cut short is one that the server has not answered."""
    look.run("gpu", HOLD)
    started = time.monotonic()
    try:
        done = look.mirror("--limit", "gpu", fleet=_fleet(tmp_path, "0.40.3"))
    finally:
        look.run("gpu", RELEASE)
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 0, output
    assert f"{UNIT}: waits for 1 turn in flight, at most 20 s" in output
    assert f"{UNIT}: restarts after 20 s, which cuts 1 turn in flight" in output
    assert time.monotonic() - started > 20
    # Without a turn, it restarts at once: back to the release of the module.
    done = look.mirror("--limit", "gpu", fleet=helper)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in flight" not in look.plain(done.stdout + done.stderr)


def test_unused_models_and_files_are_removed(helper: Path) -> None:
    models = "/var/lib/mirrorfleet/ollama/models"
    given = look.run("gpu", f"grep -l 'the only bytes' {models}/blobs/*").split()
    assert len(given) == 2, "the file as sent, and the copy of the server"
    look.run("gpu", f"touch -d '2 hours ago' {models}/blobs/*")
    inventory = str(helper.with_suffix(".py"))
    output = look.plain(look.pyinfra("-y", inventory, "deploys/remove_weights.py").stderr)
    assert f"{models}/blobs/" in output, output
    assert len(look.run("gpu", f"grep -l 'the only bytes' {models}/blobs/*").split()) == 1
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
