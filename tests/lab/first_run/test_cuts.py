"""A first run whose controller is killed (SIGKILL), again and again, each time a little later.

Each run starts at once after the kill, while what the killed one left behind is still at work on
the hosts. That the last run finishes the job and the one after it changes nothing is what the
molecule scenario goes on with.
"""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import look, paths

Moment = Callable[[str], bool]
"""Whether it has come, given what the run has printed so far."""


def says(text: str) -> Moment:
    return lambda output: text in output


def runs(pattern: str) -> Moment:
    """When such a process runs on one of the hosts."""
    return lambda _: any(re.search(pattern, process) for process in look.processes())


MOMENTS = {
    "dpkg unpacks": runs(r"^/usr/bin/dpkg .*--unpack"),
    "uv installs vLLM": runs(r"uv pip install .*/opt/mirrorfleet/vllm/"),
    "weights are sent": says("Starting operation: vLLM | weights"),
    "the engine has just been started": runs(r"bin/vllm serve"),
    "wheels are sent to the gateways": runs(r"sftp-server"),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_cut(moment: Moment, tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = look.command("-y", "inventories/lab.py", "deploys/mirror.py")
    with (
        output.open("w") as stream,
        subprocess.Popen(
            command, cwd=paths.REPOSITORY, stdout=stream, stderr=subprocess.STDOUT
        ) as run,
    ):
        while run.poll() is None and not moment(output.read_text()):
            time.sleep(0.05)
        run.kill()
    assert run.returncode == -9, f"it ended before the moment came:\n{output.read_text()}"
    assert "Error" not in output.read_text()
