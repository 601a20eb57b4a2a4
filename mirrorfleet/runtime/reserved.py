"""Names that other modules need of roles/ports, which reserves the ports of services."""

from __future__ import annotations

from mirrorfleet.runtime.paths import ROOT

UNIT = "mirrorfleet-ports.service"
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
PROGRAM = f"{ROOT}/ports/reserve_ports.py"

AGAIN = f"[ ! -e {UNIT_PATH} ] || systemctl --quiet reload-or-restart {UNIT}"
"""A shell command to run when generations came or went: their ports are the reserved ones."""

RELEASE = f"[ ! -e {PROGRAM} ] || python3 -I {PROGRAM} release >/dev/null"
"""A shell command: every user can listen on the ports again."""
