"""What the tests of the roles share: the fleets with fixed secrets, and no way to a registry."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import gevent
import hypothesis
import pytest

with warnings.catch_warnings():
    # As in a real run, this comes before our own code: it makes all locks and sockets gevent's. A
    # plugin of pytest has imported ssl by then, which is not used here.
    warnings.simplefilter("ignore")
    import pyinfra_cli  # noqa: F401

from mirrorfleet.planning import FleetPlan
from mirrorfleet.roles.claude import client
from mirrorfleet.runtime import cache
from tests.roles.fleets import planned, prepare_project
from tests.roles.machine import Machine

# The same cases on every machine, however slow it is.
hypothesis.settings.register_profile("same", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("same")

Planned = Callable[[str], FleetPlan]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a worker of pytest-xdist wait for its next test.

    It is told of one by another thread, of which gevent knows nothing: with no greenlet to go on,
    it would take the wait for a deadlock. A watcher that never fires keeps it waiting.
    """
    if hasattr(session.config, "workerinput"):
        gevent.get_hub().loop.async_().start(lambda: None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with inventories/ and all that they refer to, and an empty cache."""
    for name, value in prepare_project(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def plans(project: Path) -> Planned:
    """Give the plan of a fleet of inventories/, by name."""
    return lambda name: planned(project, name)


NAME = "@anthropic-ai/claude-code-linux-x64"
CLIENT = cache.npm_file(NAME, "2.1.330")


@pytest.fixture
def offline_cache(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that never asks a registry: stand-ins for the client and for Ollama are there, the
    wheels are none.

    The archives are made and named as always; only pip is not run.
    """
    for name in (
        f"npm/{CLIENT}",
        "ollama/0.32.7-ed1e39fe8fea90bd.tar.zst",
    ):
        file = project / "cache/mirrorfleet" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"a stand-in")
    integrity = cache._integrity(project / "cache/mirrorfleet/npm" / CLIENT)
    lock = {"version": "2.1.330", "packages": {"x86_64": {"name": NAME, "integrity": integrity}}}
    monkeypatch.setattr(client, "_lock", lambda plan, version: lock)
    monkeypatch.setattr(cache, "_pip_download", lambda *_: None)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A bare host in a directory."""
    return Machine(tmp_path)
