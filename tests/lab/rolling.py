"""Two gateways of the lab behind a load balancer, and a steady load of turns through it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import load, look, paths
from tests.lab.certificates import TLS
from tests.lab.hosts import BY_NAME
from tests.lab.load import Load

FLEET = Path(__file__).parent / "long" / "rolling.yml"
LOAD_BALANCER = "extra-1"
GATEWAYS = look.GATEWAYS
UNIT = "mirrorfleet-litellm.service"


def certificate() -> None:
    """Generate the certificate of the load balancer."""
    TLS.mkdir(mode=0o700, exist_ok=True)
    address = BY_NAME[LOAD_BALANCER].address
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
            *("-subj", "/CN=lb", "-addext", f"subjectAltName=IP:{address}"),
            *("-keyout", "rolling.key", "-out", "rolling.pem"),
        ],
        cwd=TLS,
        check=True,
        capture_output=True,
    )


def changed(directory: Path, *edits: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Deploy rolling.yml with some texts replaced."""
    return look.mirror(fleet=fleet_of(directory, *edits))


def fleet_of(directory: Path, *edits: tuple[str, str]) -> Path:
    """Write rolling.yml with some texts replaced into an empty directory."""
    text = FLEET.read_text("utf-8")
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    inventories = directory / "inventories"
    inventories.mkdir(parents=True)
    (directory / ".lab").symlink_to(paths.ACCESS)
    (inventories / "rolling.yml").write_text(text, "utf-8")
    shutil.copy(look.FLEET.with_suffix(".py"), inventories / "rolling.py")
    return inventories / "rolling.yml"


@contextmanager
def steady(title: str) -> Iterator[Load]:
    """Run a load before, during and after the block, and print its summary."""
    address, key = str(BY_NAME[LOAD_BALANCER].address), look.secret("master")
    began = time.monotonic()
    with load.steady(address, 443, key, "steady", str(TLS / "rolling.pem")) as turns:
        time.sleep(8)
        yield turns
        time.sleep(8)
    print(f"\n{title}: {time.monotonic() - began:.0f} s, {turns.summary()}", flush=True)


def generations() -> dict[str, str]:
    """Return the current generation of each gateway."""
    return {name: look.run(name, "readlink /opt/mirrorfleet/litellm/current") for name in GATEWAYS}


def status(gateway: str) -> str:
    """Return the state of a gateway in HAProxy: "UP", "DOWN", "MAINT" …"""
    statistics = look.run(
        LOAD_BALANCER, "echo 'show stat' | socat - /run/mirrorfleet-front/admin.sock"
    )
    [line] = [line for line in statistics.splitlines() if line.startswith(f"gateways,{gateway},")]
    return line.split(",")[17]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for a condition, for 600 seconds at most."""
    for _ in range(600):
        if condition():
            return
        time.sleep(1)
    raise AssertionError("the condition is still false after 600 s")
