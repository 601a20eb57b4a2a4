"""A control group for one test, to reserve ports without changing this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirrorfleet.roles.ports.files.reserve_ports import attach, cgroup_root

JOIN = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
"""A shell script: run a command in a control group; its path is $0."""


@contextmanager
def scratch_cgroup() -> Iterator[Path]:
    """Yield its directory; skip the test if the kernel cannot reserve ports."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    try:
        place = cgroup_root() / f"mirrorfleet-test-{os.getpid()}"
        place.mkdir()
        attach({1: frozenset({0})}, place)
    except OSError as error:
        pytest.skip(f"needs BPF and cgroup v2: {error}")
    yield place
    place.rmdir()
