"""A real Redis on loopback, as the role configures it.

The Debian package redis-tools includes redis-server under the name redis-check-rdb.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirrorfleet.config.litellm import Redis
from mirrorfleet.config.reader import Secret
from mirrorfleet.planning import RedisPlan
from mirrorfleet.roles.redis import render
from tests.litellm.gateway import free_port

PROGRAM = shutil.which("redis-check-rdb")

needed = pytest.mark.skipif(PROGRAM is None, reason="redis-tools is not on this machine")

PASSWORD = Secret("env", "REDIS_PASSWORD", Path("/"))
VALUE = "sk-redis_password-0123456789"
"""The value of that reference in tests/litellm/gateway.py."""


@dataclass
class Running:
    """A Redis, and its configuration in a fleet file."""

    directory: Path
    config: Redis
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it listens."""
        command = [str(self.directory / "redis-server"), "redis.conf"]
        self.process = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with suppress(OSError):
                socket.create_connection((self.config.host, self.config.port), 1).close()
                return
            time.sleep(0.05)
        raise AssertionError("Redis does not listen")

    def kill(self) -> None:
        """Kill it, with all of its content."""
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def redis(directory: Path) -> Iterator[Running]:
    """Run a Redis during the block."""
    plan = RedisPlan(listen="127.0.0.1", port=free_port(), password=PASSWORD)
    (directory / "redis.conf").write_text(render.service(plan, VALUE).files["redis.conf"])
    (directory / "redis-server").symlink_to(str(PROGRAM))
    config = Redis(plan.listen, None, plan.port, None, PASSWORD, ssl=False)
    server = Running(directory, config)
    server.start()
    try:
        yield server
    finally:
        server.kill()
