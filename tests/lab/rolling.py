"""Two gateways of the lab behind a front door, and a steady load of turns through it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import load, look, paths
from tests.lab.hosts import BY_NAME
from tests.lab.load import Load

FLEET = Path(__file__).parent / "long" / "rolling.yml"
TLS = paths.ACCESS / "tls"
LOAD_BALANCER = "extra-1"
GATEWAYS = look.GATEWAYS
UNIT = "mirrorfleet-litellm.service"


def certificate() -> None:
    """Make the certificate of the front door."""
    TLS.mkdir(mode=0o700, exist_ok=True)
    address = BY_NAME[LOAD_BALANCER].address
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
            *("-subj", "/CN=door", "-addext", f"subjectAltName=IP:{address}"),
            *("-keyout", "load_balancer.key", "-out", "load_balancer.pem"),
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
    for said, instead in edits:
        assert text.count(said) == 1
        text = text.replace(said, instead)
    inventories = directory / "inventories"
    inventories.mkdir(parents=True)
    (directory / ".lab").symlink_to(paths.ACCESS)
    (inventories / "rolling.yml").write_text(text, "utf-8")
    shutil.copy(look.FLEET.with_suffix(".py"), inventories / "rolling.py")
    return inventories / "rolling.yml"


@contextmanager
def steady(what: str) -> Iterator[Load]:
    """A load that runs before, while and after the block."""
    address, key = str(BY_NAME[LOAD_BALANCER].address), look.secret("master")
    began = time.monotonic()
    with load.steady(address, 443, key, "steady", str(TLS / "load_balancer.pem")) as found:
        time.sleep(8)
        yield found
        time.sleep(8)
    print(f"\n{what}: {time.monotonic() - began:.0f} s, {found.told()}", flush=True)


def generations() -> dict[str, str]:
    return {name: look.run(name, "readlink /opt/mirrorfleet/litellm/current") for name in GATEWAYS}


def status(gateway: str) -> str:
    """What the front door thinks of a gateway."""
    said = look.run(LOAD_BALANCER, "echo 'show stat' | socat - /run/mirrorfleet-front/admin.sock")
    [line] = [line for line in said.splitlines() if line.startswith(f"gateways,{gateway},")]
    return line.split(",")[17]


def wait_for(happens: Callable[[], bool]) -> None:
    for _ in range(600):
        if happens():
            return
        time.sleep(1)
    raise AssertionError("it never happens")
