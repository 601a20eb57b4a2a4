"""Gateways that change, fail, reboot and die under a steady load: what the developers notice of it.

Prints what each costs: pytest -s.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import keys, load, look, places
from tests.lab.hosts import BY_NAME, GATEWAY
from tests.lab.load import Load

HERE = Path(__file__).parent
TLS = places.ACCESS / "tls"
DOOR = "extra-1"
UNIT = "mirrorfleet-litellm.service"

pytestmark = pytest.mark.usefixtures("gateways")


@pytest.fixture(scope="module")
def engine() -> Iterator[None]:
    with load.engine(str(GATEWAY.ip), 8099):
        yield


@pytest.fixture(scope="module")
def gateways(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The lab's gateways behind a front door on a host of its own; afterwards as they were."""
    subprocess.run(["bin/lab", "up", "1"], cwd=places.REPOSITORY, check=True)
    _certificate()
    done = changed(tmp_path_factory.mktemp("first"))
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    if look.on("gpu").file("/opt/mirrorfleet/vllm-tiny/current").exists:
        assert look.mirror().returncode == 0


def _certificate() -> None:
    TLS.mkdir(mode=0o700, exist_ok=True)
    address = BY_NAME[DOOR].address
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
            *("-subj", "/CN=door", "-addext", f"subjectAltName=IP:{address}"),
            *("-keyout", "door.key", "-out", "door.pem"),
        ],
        cwd=TLS,
        check=True,
        capture_output=True,
    )


def changed(directory: Path, *edits: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Deploy rolling.yml with some texts replaced."""
    return look.mirror(fleet=fleet_of(directory, *edits))


def fleet_of(directory: Path, *edits: tuple[str, str]) -> Path:
    text = (HERE / "rolling.yml").read_text("utf-8")
    for said, instead in edits:
        assert text.count(said) == 1
        text = text.replace(said, instead)
    inventories = directory / "inventories"
    inventories.mkdir()
    (directory / ".lab").symlink_to(places.ACCESS)
    (inventories / "rolling.yml").write_text(text, "utf-8")
    shutil.copy(look.FLEET.with_suffix(".py"), inventories / "rolling.py")
    return inventories / "rolling.yml"


@contextmanager
def steady(what: str) -> Iterator[Load]:
    """A load that runs before, while and after the block."""
    address, key = str(BY_NAME[DOOR].address), look.secret("master")
    began = time.monotonic()
    with load.steady(address, 443, key, "steady", str(TLS / "door.pem")) as found:
        time.sleep(8)
        yield found
        time.sleep(8)
    print(f"\n{what}: {time.monotonic() - began:.0f} s, {found.told()}", flush=True)


def generations() -> dict[str, str]:
    return {name: look.run(name, "readlink /opt/mirrorfleet/litellm/current") for name in GATEWAYS}


GATEWAYS = look.GATEWAYS


def test_a_changed_setting(tmp_path: Path) -> None:
    before = generations()
    with steady("a changed setting") as turns:
        done = changed(tmp_path, ("timeout: 60", "timeout: 61"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(generations()[name] != before[name] for name in GATEWAYS)
    assert turns.lost == []


def test_a_gateway_reboots() -> None:
    started = look.run("gw-2", f"systemctl show -p InvocationID {UNIT}")
    with steady("a reboot") as turns:
        subprocess.run(keys.ssh("gw-2", ["sudo", "systemctl", "reboot"]), check=False)
        wait_for(lambda: status("gw-2") != "UP")
        wait_for(lambda: status("gw-2") == "UP")
    assert look.run("gw-2", f"systemctl show -p InvocationID {UNIT}") != started
    assert turns.lost == []


def status(gateway: str) -> str:
    """What the front door thinks of a gateway."""
    said = look.run(DOOR, "echo 'show stat' | socat - /run/mirrorfleet-front/admin.sock")
    [line] = [line for line in said.splitlines() if line.startswith(f"gateways,{gateway},")]
    return line.split(",")[17]


def wait_for(happens: Callable[[], bool]) -> None:
    for _ in range(300):
        if happens():
            return
        time.sleep(1)
    raise AssertionError("it never happens")


# The process with the most streams: the kernel does not spread them evenly.
BUSIEST = (
    "ss -Htnp 'sport = :4000' | grep -o 'pid=[0-9]*' | sort | uniq -c | sort -n | "
    "sed -n '$s/.*pid=//p'"
)


def test_a_worker_that_is_killed() -> None:
    """Its streams are cut: that is what it costs, and no more."""
    with steady("kill -9 of a worker") as turns:
        look.run("gw-1", f"kill -9 $({BUSIEST})")
        time.sleep(20)
    assert 0 < len(turns.lost) < load.SESSIONS
    assert all(turn.fault.startswith("cut after") for turn in turns.lost)
    assert len({turn.session for turn in turns.lost}) == len(turns.lost)


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    before = generations()
    look.run("gw-1", "systemd-run -q --unit taken python3 -m http.server 4100")
    try:
        with steady("a taken port") as turns:
            done = changed(tmp_path, ("workers: 2", "workers: 2\n  port: 4100"))
    finally:
        look.run("gw-1", "systemctl stop taken")
    assert done.returncode == 1
    assert "gw-1 has port 4100 taken by taken.service" in look.plain(done.stdout + done.stderr)
    assert generations() == before
    assert turns.lost == []


def test_the_front_door_changes_without_cutting_a_stream(tmp_path: Path) -> None:
    certificate = (TLS / "door.pem").read_text()
    before = look.run(DOOR, "readlink /opt/mirrorfleet/front/current")
    with steady("the front door") as turns:
        done = changed(tmp_path, ("timeout: 60", "timeout: 64"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert look.run(DOOR, "readlink /opt/mirrorfleet/front/current") != before
    assert certificate == (TLS / "door.pem").read_text()
    assert turns.lost == []


def test_nothing_but_what_claude_code_asks_for_comes_through() -> None:
    for path, code in (
        ("/v1/models", "200"),
        ("/health/readiness", "200"),
        ("/api/hello", "404"),
        ("/health", "404"),
        ("/model/info", "404"),
        ("/v1/messages/../../model/info", "404"),
        ("/v1/chat/completions", "404"),
    ):
        address = BY_NAME[DOOR].address
        words = ["curl", "-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", "-K", "-"]
        done = subprocess.run(
            [*words, "--cacert", str(TLS / "door.pem"), f"https://{address}{path}"],
            input=f'header = "Authorization: Bearer {look.secret("master")}"\n',
            capture_output=True,
            text=True,
            check=False,
        )
        assert (path, done.stdout) == (path, code)
    log = look.run(DOOR, "journalctl -q -o cat -u mirrorfleet-front")
    assert re.search(r'POST "/v1/messages" 200 gw-[12]', log)
    assert look.secret("master") not in log
