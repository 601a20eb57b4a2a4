"""One model on two hosts: installed, changed, broken, taken back, and each of the hosts lost."""

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
FIRST, OTHER = NODES
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
    """The lab with the two hosts; afterwards as it was."""
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
    """nodes.yml with more said of the model."""
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
        assert time.monotonic() < end, "it does not come back"
        time.sleep(1)


def current() -> list[str]:
    return [look.run(host, "readlink /opt/mirrorfleet/vllm-large/current") for host in NODES]


def words() -> list[str]:
    """What each node runs by what it was told alike, and what it has come to."""
    names = ("/opt/mirrorfleet/vllm-large/current/word", "/var/lib/mirrorfleet/vllm-large/word")
    return [look.run(FIRST, f"cat {names[0]}"), *(look.run(OTHER, f"cat {name}") for name in names)]


def invocations() -> list[str]:
    return [look.run(host, f"systemctl show -p InvocationID --value {UNIT}") for host in NODES]


def test_both_hosts_answer_together_and_a_second_run_changes_nothing(fleet: Path) -> None:
    assert answered()
    for host, layer in ((FIRST, "PP0"), (OTHER, "PP1")):
        assert f"VLLM::Worker_{layer}" in look.run(host, "ps -eo args")
    before = invocations()
    assert look.changes(look.mirror("--json", fleet=fleet)) == []
    assert invocations() == before
    assert answered()


def test_whoever_is_no_node_reaches_nothing_of_them() -> None:
    """None of the ports, most of which nobody chose."""
    found = {}
    for host in NODES:
        listening = look.run(host, "ss -Hltn").splitlines()
        ports = {int(line.split()[3].rpartition(":")[2]) for line in listening} - {22}
        assert len(ports) > 5
        address = BY_NAME[host].address
        # From a developer's machine, which is no gateway.
        tried = " ".join(map(str, sorted(ports)))
        said = look.run(
            "dev",
            f"for port in {tried}; do timeout 1 bash -c ': </dev/tcp/{address}/'$port 2>/dev/null "
            "&& echo $port; done; true",
        )
        found[host] = said.split()
    assert found == {host: [] for host in NODES}


def test_a_changed_option_is_taken_over_by_both_and_taken_back(
    fleet: Path, weights: Path, tmp_path: Path
) -> None:
    before = current()
    changed = variant(tmp_path, weights, "    max_num_seqs: 4\n")
    done = look.mirror(fleet=changed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert answered()
    assert len(set(words())) == 1
    assert all(new != old for new, old in zip(current(), before, strict=True))
    assert look.changes(look.mirror("--json", fleet=changed)) == []

    done = look.pyinfra(
        "-y", str(fleet.with_suffix(".py")), "deploys/rollback.py", "--data", "service=vllm-large"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert answered()
    assert current() == before
    assert look.changes(look.mirror("--json", fleet=fleet)) == []


def test_what_does_not_serve_goes_back_on_both(fleet: Path, weights: Path, tmp_path: Path) -> None:
    before, told = current(), words()
    broken = variant(tmp_path, weights, "    arguments: {kv-cache-memory-bytes: 8M}\n")
    done = look.mirror(fleet=broken)
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1
    assert "larger than the available KV cache memory" in output
    assert output.count("rolled back to") == 2
    assert answered()
    assert (current(), words()) == (before, told)
    assert look.mirror(fleet=fleet).returncode == 0
    assert look.changes(look.mirror("--json", fleet=fleet)) == []


@pytest.mark.parametrize("host", NODES)
def test_where_a_part_dies_both_start_anew(host: str) -> None:
    before = invocations()
    look.run(host, "pkill -KILL VLLM::Worker")
    time.sleep(15)
    wait_until_answered()
    assert all(new != old for new, old in zip(invocations(), before, strict=True))


@pytest.mark.parametrize("host", NODES)
def test_where_a_host_falls_silent_the_other_does_not_wait_for_it(host: str, fleet: Path) -> None:
    """No packet says that it has gone."""
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


def test_a_host_that_is_rebooted_is_found_again() -> None:
    look.run(OTHER, "systemctl reboot >/dev/null 2>&1 &")
    time.sleep(15)
    wait_until_answered()


def test_a_network_between_them_that_lets_nothing_through_is_told_before_a_change(
    fleet: Path,
) -> None:
    before = look.state(FIRST)
    rules = "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
    rules += "add rule inet cut in tcp dport 29500 drop"
    look.run(OTHER, f"nft '{rules}'")
    try:
        done = look.mirror(fleet=fleet)
    finally:
        look.run(OTHER, "nft delete table inet cut")
    assert done.returncode == 1
    assert "no reply from 10.77.0.102:29500 via" in done.stdout + done.stderr
    assert look.state(FIRST) == before


def test_one_node_alone_does_not_change(weights: Path, tmp_path: Path) -> None:
    before = invocations()
    changed = variant(tmp_path, weights, "    max_num_seqs: 4\n")
    done = look.mirror("--limit", FIRST, fleet=changed)
    assert done.returncode == 1
    said = " ".join(look.plain(done.stdout + done.stderr).split())
    assert "all nodes of 'large' change together, and this run leaves out extra-2" in said
    assert invocations() == before


def test_verify_tells_of_both(fleet: Path) -> None:
    done = look.pyinfra("-y", "--json", str(fleet.with_suffix(".py")), "deploys/verify_weights.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["results"]["failed_hosts"] == []
