"""Names and shell functions of roles/ports, which reserves the ports of services."""

from __future__ import annotations

from pathlib import Path

from mirrorfleet.runtime.paths import ROOT
from mirrorfleet.runtime.shell import shell

UNIT = "mirrorfleet-ports.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
PROGRAM = f"{ROOT}/ports/reserve_ports.py"

SCRIPTS = Path(__file__).parent / "scripts"

RESERVE = shell(SCRIPTS / "reserve_ports.sh")
"""A shell function, `reserve_ports`, to call after generations were added or removed."""

RELEASE = shell(SCRIPTS / "release_ports.sh")
"""A shell function, `release_ports`."""
