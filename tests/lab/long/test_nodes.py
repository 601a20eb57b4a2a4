"""One model on two hosts: installed, changed, broken, rolled back, and with each host lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import look, paths, tiny_model
from tests.lab.hosts import BY_NAME

HERE = Path(__file__).parent
NODES = ("extra-1", "extra-2")
FIRST, SECOND = NODES
UNIT = "mirrorfleet-vllm-large.service"
FAMILY = "    family: hermes\n"

pytestmark = pytest.mark.usefixtures("deployed")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("weights")
    tiny_model.write(directory, layers=2)
    return directory


@pytest.fixture(scope="module")
def fleet(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return variant(tmp_path_factory.mktemp("fleet"), weights)


@pytest.fixture(scope="module")
def deployed(fleet: Path) -> Iterator[None]:
    """Deploy nodes.yml; restore the lab at the end."""
    subprocess.run(["bin/lab", "up", "2"], cwd=paths.REPOSITORY, check=True)
    done = look.mirror(fleet=fleet)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "large: serves, with a KV cache of" in done.stdout + done.stderr
    yield
    for host in NODES:
        look.run(host, f"systemctl disable --now {UNIT}")
    if look.on("gpu").file("/opt/mirrorfleet/vllm-tiny/current").exists:
        assert look.mirror().returncode == 0


def variant(directory: Path, weights: Path, more: str = "") -> Path:
    """Write nodes.yml with more keys of the model."""
    text = (HERE / "nodes.yml").read_text("utf-8")
    assert text.count(FAMILY) == 1
    (directory / "inventories").mkdir()
    (directory / ".lab").symlink_to(paths.ACCESS)
    (directory / "weights").symlink_to(weights)
    path = directory / "inventories" / "nodes.yml"
    path.write_text(text.replace(FAMILY, FAMILY + more), "utf-8")
    shutil.copy(look.FLEET.with_suffix(".py"), path.with_suffix(".py"))
    return path


def answered() -> bool:
    body = {
        "model": "large",
        "max_tokens": 4,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    try:
        status, _ = look.http_status(
            "gw-1", 4000, "/v1/messages", key=look.secret("master"), body=body
        )
    except OSError:
        return False
    return status == 200


def wait_until_answered(seconds: int = 600) -> None:
    end = time.monotonic() + seconds
    while not answered():
        assert time.monotonic() < end, "the model does not answer"
        time.sleep(1)


def current() -> list[str]:
    return [look.run(host, "readlink /opt/mirrorfleet/vllm-large/current") for host in NODES]


def tokens() -> list[str]:
    """Return the generation tokens of the nodes: of the generations, and the one in use."""
    files = ("/opt/mirrorfleet/vllm-large/current/word", "/var/lib/mirrorfleet/vllm-large/word")
    return [
        look.run(FIRST, f"cat {files[0]}"),
        *(look.run(SECOND, f"cat {file}") for file in files),
    ]


def invocations() -> list[str]:
    return [look.run(host, f"systemctl show -p InvocationID --value {UNIT}") for host in NODES]


def test_both_hosts_answer_together_and_a_second_run_changes_nothing(fleet: Path) -> None:
    assert answered()
    for host, layer in ((FIRST, "PP0"), (SECOND, "PP1")):
        assert f"VLLM::Worker_{layer}" in look.run(host, "ps -eo args")
    before = invocations()
    assert look.changes(look.mirror("--json", fleet=fleet)) == []
    assert invocations() == before
    assert answered()


def test_other_hosts_reach_no_port_of_the_nodes() -> None:
    """Most of these ports are chosen by vLLM."""
    found = {}
    for host in NODES:
        listening = look.run(host, "ss -Hltn").splitlines()
        ports = {int(line.split()[3].rpartition(":")[2]) for line in listening} - {22}
        assert len(ports) > 5
        address = BY_NAME[host].address
        # From a developer's machine, which is no gateway.
        candidates = " ".join(map(str, sorted(ports)))
        reached = look.run(
            "dev",
            f"for port in {candidates}; do "
            f"timeout 1 bash -c ': </dev/tcp/{address}/'$port 2>/dev/null && echo $port; "
            "done; true",
        )
        found[host] = reached.split()
    assert found == {host: [] for host in NODES}


def test_an_option_changes_on_both_nodes_and_rolls_back(
    fleet: Path, weights: Path, tmp_path: Path
) -> None:
    before = current()
    changed = variant(tmp_path, weights, "    max_num_seqs: 4\n")
    done = look.mirror(fleet=changed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert answered()
    assert len(set(tokens())) == 1
    assert all(new != old for new, old in zip(current(), before, strict=True))
    assert look.changes(look.mirror("--json", fleet=changed)) == []

    done = look.pyinfra(
        "-y", str(fleet.with_suffix(".py")), "deploys/rollback.py", "--data", "service=vllm-large"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert answered()
    assert current() == before
    assert look.changes(look.mirror("--json", fleet=fleet)) == []


def test_both_nodes_roll_back(fleet: Path, weights: Path, tmp_path: Path) -> None:
    before, former = current(), tokens()
    broken = variant(tmp_path, weights, "    arguments: {kv-cache-memory-bytes: 8M}\n")
    done = look.mirror(fleet=broken)
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    assert "larger than the available KV cache memory" in output
    assert output.count("rolled back to") == 2
    assert answered()
    assert (current(), tokens()) == (before, former)
    assert look.mirror(fleet=fleet).returncode == 0
    assert look.changes(look.mirror("--json", fleet=fleet)) == []


@pytest.mark.parametrize("host", NODES)
def test_if_a_worker_dies_both_nodes_restart(host: str) -> None:
    before = invocations()
    look.run(host, "pkill -KILL VLLM::Worker")
    time.sleep(15)
    wait_until_answered()
    assert all(new != old for new, old in zip(invocations(), before, strict=True))


@pytest.mark.parametrize("host", NODES)
def test_if_a_host_is_cut_off_the_other_one_does_not_wait_for_it(host: str, fleet: Path) -> None:
    """No packet reports the lost connection."""
    wait_until_answered()
    [other] = set(NODES) - {host}
    address = BY_NAME[other].address
    rules = "add table inet cut; add chain inet cut out { type filter hook output priority 0; }; "
    rules += f"add rule inet cut out ip daddr {address} drop"
    with look.journal(other, "-u", UNIT) as lines:
        look.run(host, f"nft '{rules}'")
        time.sleep(40)
        look.run(host, "nft delete table inet cut")
    assert any(f"{BY_NAME[host].address} is lost" in line for line in lines)
    wait_until_answered()
    assert look.changes(look.mirror("--json", fleet=fleet)) == []


def test_a_rebooted_host_joins_again() -> None:
    look.run(SECOND, "systemctl reboot >/dev/null 2>&1 &")
    time.sleep(15)
    wait_until_answered()


def test_a_blocked_port_between_the_nodes_is_reported_before_a_change(
    fleet: Path,
) -> None:
    before = look.state(FIRST)
    rules = "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
    rules += "add rule inet cut in tcp dport 29500 drop"
    look.run(SECOND, f"nft '{rules}'")
    try:
        done = look.mirror(fleet=fleet)
    finally:
        look.run(SECOND, "nft delete table inet cut")
    assert done.returncode == 1
    assert "no reply from 10.77.0.102:29500 via" in done.stdout + done.stderr
    assert look.state(FIRST) == before


def test_one_node_alone_does_not_change(weights: Path, tmp_path: Path) -> None:
    before = invocations()
    changed = variant(tmp_path, weights, "    max_num_seqs: 4\n")
    done = look.mirror("--limit", FIRST, fleet=changed)
    assert done.returncode == 1
    output = " ".join(look.plain(done.stdout + done.stderr).split())
    assert "all nodes of 'large' change together, but this run leaves out extra-2" in output
    assert invocations() == before


def test_verify_weights_on_both_nodes(fleet: Path) -> None:
    done = look.pyinfra("-y", "--json", str(fleet.with_suffix(".py")), "deploys/verify_weights.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["results"]["failed_hosts"] == []
