"""vLLM: changed, broken, killed, rebooted, and with two replicas."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look, paths

UNIT = "mirrorfleet-vllm-tiny.service"
KEY = "    api_key: {file: ../.lab/secrets/engine}\n"
SERVES = r"tiny: serves, with a KV cache of 2097152 tokens, room for 16\.00 full windows of 131072"


def serving() -> bool:
    try:
        return look.message("gw-1", look.secret("developers"))[0] == 200
    except OSError:
        return False


def wait_until_it_serves(seconds: int = 600) -> None:
    end = time.monotonic() + seconds
    while not serving():
        assert time.monotonic() < end, "the engine does not serve"
        time.sleep(1)


def generation() -> str:
    return look.run("gpu", "readlink /opt/mirrorfleet/vllm-tiny/current")


def test_an_option_changes_and_changes_back(tmp_path: Path) -> None:
    changed = look.variant(tmp_path, KEY, f"{KEY}    max_num_seqs: 4\n    concurrency: 4\n")
    before = generation()
    done = look.mirror(fleet=changed)
    assert done.returncode == 0
    assert re.search(SERVES, done.stdout + done.stderr)
    assert generation() != before
    assert look.changes(look.mirror("--json", fleet=changed)) == []
    assert look.mirror().returncode == 0
    assert generation() == before


BROKEN = {
    "another family": (
        ("family: hermes", "family: qwen3-coder"),
        ["the parser 'qwen3_coder'", "another parser", "correct 'family'"],
    ),
    "a window above that of the weights": (
        # With hf-overrides in the fleet file, nothing is checked before the start.
        (KEY, f"{KEY}    arguments: {{hf-overrides: {{max_position_embeddings: 65536}}}}\n"),
        [
            "User-specified max_model_len (131072) is greater than the derived max_model_len",
            "What to do: The weights were trained for a smaller window",
        ],
    ),
    "a KV cache smaller than a window": (
        (KEY, f"{KEY}    arguments: {{kv-cache-memory-bytes: 8M}}\n"),
        ["larger than the available KV cache memory", "What to do: The memory beside the weights"],
    ),
    "room for too few windows": (
        (KEY, f"{KEY}    max_num_seqs: 32\n    concurrency: 32\n"),
        ["room for 16.00 full windows of 131072, but the fleet file needs 32 at the same time"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_engine_that_does_not_serve_rolls_back_with_the_reason(
    tmp_path: Path, name: str
) -> None:
    (old, new), expected = BROKEN[name]
    before = generation()
    done = look.mirror(fleet=look.variant(tmp_path, old, new))
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    for text in [*expected, "rolled back to"]:
        assert text.lower() in output.lower()
    assert "Traceback" not in output
    assert look.secret("engine") not in output
    assert generation() == before
    assert serving()


def test_a_killed_engine_starts_again() -> None:
    look.run("gpu", f"systemctl kill -s KILL {UNIT}")
    wait_until_it_serves()
    assert look.changes(look.mirror("--json")) == []


def test_a_rebooted_host_serves_again() -> None:
    before = look.run("gpu", "systemctl show -p UserspaceTimestamp")
    look.run("gpu", "systemctl reboot >/dev/null 2>&1 &")
    end = time.monotonic() + 120
    while True:
        time.sleep(1)
        try:
            now = look.run("gpu", "systemctl show -p UserspaceTimestamp")
        except AssertionError:
            now = before
        if now != before:
            break
        assert time.monotonic() < end, "the host does not reboot"
    wait_until_it_serves()
    assert look.changes(look.mirror("--json")) == []


def test_a_port_of_another_service_is_reported_before_a_change(tmp_path: Path) -> None:
    before = look.state("gpu")
    listen = "systemd-socket-activate --listen=10.77.0.11:8001 cat"
    look.run("gpu", f"systemd-run --quiet --unit=other {listen}")
    try:
        look.run("gpu", "until ss -Hltn | grep -q :8001; do sleep 0.1; done")
        done = look.mirror(fleet=look.variant(tmp_path, KEY, f"{KEY}    port: 8001\n"))
    finally:
        look.run("gpu", "systemctl stop other")
    assert done.returncode == 1
    output = " ".join(look.plain(done.stdout + done.stderr).split())
    assert "[gpu] skipped: port 8001 is in use by other.service" in output, output
    assert look.state("gpu") == before


def fleet_of_two(directory: Path, more: str = "") -> Path:
    """Write the lab's fleet file with a second engine host."""
    directory.mkdir()
    path = look.variant(directory, "    hosts: [gpu]\n", "    hosts: [gpu, extra-1]\n")
    text = path.read_text("utf-8")
    text = text.replace("hosts:\n", "hosts:\n  extra-1: {address: 10.77.0.101}\n", 1)
    path.write_text(text.replace(KEY, KEY + more), "utf-8")
    return path


def answered() -> bool:
    """Return whether one of five requests succeeds: a client retries as well.

    Claude Code sends a request up to ten times. A gateway detects a stopped engine by a failed
    request: LiteLLM retries once, and may select the same engine.
    """
    return any(serving() for _ in range(5))


@pytest.fixture
def second_engine() -> Iterator[None]:
    subprocess.run([paths.REPOSITORY / "bin" / "lab", "up", "1"], check=True)
    yield
    assert look.mirror().returncode == 0
    look.run("extra-1", f"systemctl disable --now {UNIT}")


@pytest.mark.usefixtures("second_engine")
def test_two_replicas_change_one_after_the_other_and_one_always_answers(
    tmp_path: Path,
) -> None:
    assert look.mirror(fleet=fleet_of_two(tmp_path / "two")).returncode == 0
    with look.polling(answered, 0.5) as answers:
        changed = look.mirror(fleet=fleet_of_two(tmp_path / "changed", "    max_num_seqs: 4\n"))
    assert changed.returncode == 0
    assert len(re.findall(SERVES, changed.stdout + changed.stderr)) == 2
    assert answers.count(False) == 0
    assert len(answers) > 10

    before = look.run("extra-1", "readlink /opt/mirrorfleet/vllm-tiny/current")
    with look.polling(answered, 0.5) as answers:
        broken = look.mirror(
            fleet=fleet_of_two(tmp_path / "broken", "    arguments: {kv-cache-memory-bytes: 8M}\n")
        )
    output = " ".join(look.plain(broken.stdout + broken.stderr).split())
    assert broken.returncode == 1
    assert re.search(r"skipped because (\S+) failed: fix \1, then run again", output)
    assert answers.count(False) == 0
    assert look.run("extra-1", "readlink /opt/mirrorfleet/vllm-tiny/current") == before
