"""Two controllers change a host at once, and the first one is killed: by SSH, with real locks."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.lab import look, paths

STATE = "/var/lib/mirrorfleet"
HOST = "dev"


def controller(person: str, output: Path) -> subprocess.Popen[bytes]:
    """Start a run on the developer's host, in the name of a person."""
    command = look.command("-y", "--limit", HOST, "inventories/lab.py", "deploys/mirror.py")
    with output.open("wb") as stream:
        return subprocess.Popen(
            command,
            cwd=paths.REPOSITORY,
            env=os.environ | {"LOGNAME": person},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


def wait_for(text: str, output: Path, run: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while text not in output.read_text():
        assert run.poll() is None, output.read_text()
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.05)


def test_the_second_waits_for_the_first_and_continues_when_that_is_killed(tmp_path: Path) -> None:
    look.run(HOST, "rm -rf /opt/mirrorfleet/claude/[0-9]*")
    outputs = tmp_path / "ada", tmp_path / "grace"
    ada = controller("ada", outputs[0])
    wait_for("Starting operation: Claude Code | client", outputs[0], ada)
    ada.send_signal(signal.SIGSTOP)  # it would end before the other one has started
    grace = controller("grace", outputs[1])
    wait_for(f"{HOST}: waiting for the run of ada@", outputs[1], grace)
    assert look.run(HOST, f"cat {STATE}/run/holder").startswith("ada@")
    time.sleep(5)
    assert grace.poll() is None
    assert "What will be changed" not in outputs[1].read_text()
    ada.kill()
    ada.wait()
    assert grace.wait(timeout=300) == 0, outputs[1].read_text()
    assert look.run(HOST, f"cat {STATE}/run/holder").startswith("grace@")
    assert look.run(HOST, f"ls -A {STATE}/inbox") == "", "the upload of the killed run is removed"
    again = look.mirror("--limit", HOST)
    assert "No changes on 1 host" in again.stdout + again.stderr
