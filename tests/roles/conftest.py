"""Fixtures of the roles' tests: fleets with fixed secrets, a cache that needs no registry."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from mirrorfleet.planning import FleetPlan
from mirrorfleet.roles.claude import client
from mirrorfleet.runtime import cache
from tests.roles.fleets import planned, prepare_project
from tests.roles.machine import Machine

# The same examples on every machine, without deadlines for slow ones.
hypothesis.settings.register_profile("same", deadline=None, database=None, derandomize=True)
hypothesis.settings.load_profile("same")

Planned = Callable[[str], FleetPlan]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prepare a directory with inventories/, the files they refer to, and an empty cache."""
    for name, value in prepare_project(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def plans(project: Path) -> Planned:
    """Return a function that plans a fleet of inventories/ by its name."""
    return lambda name: planned(project, name)


NAME = "@anthropic-ai/claude-code-linux-x64"
CLIENT = cache.npm_file(NAME, "2.1.331")


@pytest.fixture
def offline_cache(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the cache so that no test contacts a registry: stand-ins for the client and Ollama.

    Archives of wheels are written and named as usual, but they are empty, because pip does not run.
    """
    for name in (
        f"npm/{CLIENT}",
        "ollama/0.32.7-ed1e39fe8fea90bd.tar.zst",
    ):
        file = project / "cache/mirrorfleet" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"a stand-in")
    integrity = cache._integrity(project / "cache/mirrorfleet/npm" / CLIENT)
    lock = {"version": "2.1.331", "packages": {"x86_64": {"name": NAME, "integrity": integrity}}}
    monkeypatch.setattr(client, "_lock", lambda plan, version: lock)
    monkeypatch.setattr(cache, "_pip_download", lambda *_: None)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a bare host in a directory."""
    return Machine(tmp_path)


@pytest.fixture(autouse=True)
def log_of_pyinfra() -> Iterator[None]:
    """Give pyinfra's log, which a live command takes, back to the other tests."""
    log = logging.getLogger("pyinfra")
    handlers, propagate, level = log.handlers, log.propagate, log.level
    yield
    log.handlers, log.propagate = handlers, propagate
    log.setLevel(level)
