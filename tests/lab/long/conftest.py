"""Fixtures of the tests with a steady load."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.lab import load, look, paths, rolling
from tests.lab.hosts import GATEWAY


@pytest.fixture(scope="module")
def engine() -> Iterator[None]:
    """Run the stand-in for an engine on this machine."""
    with load.engine(str(GATEWAY.ip), 8099):
        yield


@pytest.fixture(scope="module")
def gateways(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the lab's gateways behind a load balancer on another host; restore them at the end."""
    subprocess.run(["bin/lab", "up", "1"], cwd=paths.REPOSITORY, check=True)
    rolling.certificate()
    done = rolling.changed(tmp_path_factory.mktemp("first"))
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    if look.on("gpu").file("/opt/mirrorfleet/vllm-tiny/current").exists:
        assert look.mirror().returncode == 0
