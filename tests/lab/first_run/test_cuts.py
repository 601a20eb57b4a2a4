"""A first run whose controller is killed (SIGKILL) several times, each time a little later.

Each run starts right after the kill, while commands of the killed one still run on the hosts. The
molecule scenario continues with a run that completes, and one that changes nothing.
"""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import look, paths

Moment = Callable[[str], bool]
"""Returns whether the moment has come, from the output of the run so far."""


def prints(text: str) -> Moment:
    return lambda output: text in output


def runs(pattern: str) -> Moment:
    """Return the moment when a process with a matching command line runs on a host."""
    return lambda _: any(re.search(pattern, process) for process in look.processes())


MOMENTS = {
    "dpkg unpacks": runs(r"^/usr/bin/dpkg .*--unpack"),
    "uv installs vLLM": runs(r"uv pip install .*/opt/mirrorfleet/vllm/"),
    "weights are uploaded": prints("Starting operation: vLLM | weights"),
    "the engine has just been started": runs(r"bin/vllm serve"),
    "wheels are uploaded to the gateways": runs(r"sftp-server"),
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
    assert run.returncode == -9, f"the run ended before the moment came:\n{output.read_text()}"
    assert "Error" not in output.read_text()
