"""A connection to a host that breaks in the middle of a run."""

import subprocess
import time

import pytest

from tests.lab import keys, look
from tests.lab.hosts import GATEWAY

# Seconds in which no packet of the host reaches the controller: longer than the timeout of a run,
# which would continue otherwise.
SILENCE = 100
SILENT = f"""
ip route add blackhole {GATEWAY.ip}/32
sleep {SILENCE}
ip route del blackhole {GATEWAY.ip}/32
"""

# While the host checks the new generation, and the run waits for that. (With the brackets, the
# pattern does not match itself.)
WHEN_CHECKED = f"until pgrep -f '[b]in/python check_config.py'; do sleep 0.05; done; {SILENT}"


def test_a_host_without_network_fails_alone_and_the_next_run_repairs_it() -> None:
    config = "/opt/mirrorfleet/litellm/current/config.yaml"
    for gateway in look.GATEWAYS:
        look.run(gateway, f"echo '# by hand' >>{config}")
    look.run("gw-2", f'systemd-run --quiet --collect sh -c "{WHEN_CHECKED}"')
    started = time.monotonic()
    done = look.mirror()
    output = look.plain(done.stdout + done.stderr)
    assert done.returncode == 1, output
    assert "[gw-2] Error" in output
    assert "[gw-1] Error" not in output
    assert "Traceback" not in output
    assert "# by hand" not in look.run("gw-1", f"cat {config}")
    assert look.message("gw-1", look.secret("developers"))[0] == 200

    wait_for("gw-2", started + SILENCE + 60)
    repaired = look.changes(look.mirror("--json"))
    assert {change.split(":")[0] for change in repaired} == {"gw-2"}
    assert "# by hand" not in look.run("gw-2", f"cat {config}")
    assert look.changes(look.mirror("--json")) == []


def wait_for(host: str, deadline: float) -> None:
    line = keys.ssh(host, ["true"], "-o", "ConnectTimeout=2")
    while subprocess.run(line, capture_output=True).returncode:
        if time.monotonic() > deadline:
            pytest.fail(f"{host} is still unreachable")
