"""A hostile local user tries to listen on the port of the real LiteLLM during a restart."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from mirrorfleet.roles.ports.files.reserve_ports import attach
from tests.litellm.conftest import GOOD
from tests.litellm.gateway import Gateway, free_port, planned, serving
from tests.litellm.upstream import Upstream
from tests.roles.scratch_cgroup import JOIN, scratch_cgroup

PLAN = planned(GOOD / "smallest.yml")
UNPRIVILEGED = 65534
PYTHON = shutil.which("python3", path="/usr/bin") or ""
INTRUDER = (Path(__file__).parents[1] / "lab" / "intruder.py").read_text("utf-8")

pytestmark = pytest.mark.skipif(not PYTHON, reason="needs a python3 that every user can run")


@contextmanager
def intruder(cgroup: Path, port: int, out: Path) -> Iterator[None]:
    """Run a program of an unprivileged user that tries to listen on the port, with a log."""
    user = ["setpriv", "--clear-groups", f"--reuid={UNPRIVILEGED}", PYTHON, "-u", "-", str(port)]
    with out.open("w") as file:
        process = subprocess.Popen(
            ["sh", "-c", JOIN, str(cgroup), *user],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
        )
        assert process.stdin
        process.stdin.write(INTRUDER.encode())
        process.stdin.close()
        try:
            yield
        finally:
            process.kill()
            process.wait()


def test_a_restarting_gateway_keeps_its_port_and_its_keys(
    upstream: Upstream, tmp_path: Path
) -> None:
    port, out = free_port(), tmp_path / "out"
    with scratch_cgroup() as cgroup:
        attach({port: frozenset({os.getuid()})}, cgroup)
        with (
            patch("tests.litellm.gateway.free_port", lambda: port),
            intruder(cgroup, port, out),
        ):
            for name in ("before", "after"):
                (tmp_path / name).mkdir()
                with serving(PLAN, upstream, tmp_path / name) as gateway:
                    assert gateway.message("coder").code == 200
    lines = out.read_text().splitlines()
    assert len(lines) > 5
    assert [line for line in lines if not line.startswith("tries ")] == []


def test_without_the_reservation_another_user_gets_the_key(tmp_path: Path) -> None:
    """The intruder works, so the test above can fail."""
    port, out = free_port(), tmp_path / "out"
    gateway = Gateway(f"http://127.0.0.1:{port}", "", PLAN, {}, tmp_path, 0)
    with scratch_cgroup() as cgroup, intruder(cgroup, port, out):
        while "listens" not in out.read_text():
            time.sleep(0.1)
        with pytest.raises(OSError):  # the intruder closes the connection
            gateway.ask("/v1/models", key="sk-stolen")
    assert "sk-stolen" in out.read_text()
