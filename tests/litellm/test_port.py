"""A hostile user of this machine wants the port of the real LiteLLM while it is away."""

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
NOBODY = 65534
PYTHON = shutil.which("python3", path="/usr/bin") or ""
INTRUDER = (Path(__file__).parents[1] / "lab" / "intruder.py").read_text("utf-8")

pytestmark = pytest.mark.skipif(not PYTHON, reason="needs a python3 that every user can run")


@contextmanager
def intruder(cgroup: Path, port: int, out: Path) -> Iterator[None]:
    """Let a user without rights want the port while the block runs; ``out`` says what he got."""
    user = ["setpriv", "--clear-groups", f"--reuid={NOBODY}", PYTHON, "-u", "-", str(port)]
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


def test_a_gateway_that_restarts_gets_its_port_back_and_nobody_else_a_key(
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


def test_without_the_reservation_he_gets_the_key(tmp_path: Path) -> None:
    """So that the test above means something."""
    port, out = free_port(), tmp_path / "out"
    gateway = Gateway(f"http://127.0.0.1:{port}", "", PLAN, {}, tmp_path, 0)
    with scratch_cgroup() as cgroup, intruder(cgroup, port, out):
        while "listens" not in out.read_text():
            time.sleep(0.1)
        with pytest.raises(OSError):  # he hangs up
            gateway.ask("/v1/models", key="sk-stolen")
    assert "sk-stolen" in out.read_text()
