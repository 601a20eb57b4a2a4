"""The pinned Claude Code, used as a developer uses it: without and with a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirrorfleet.data import proposed
from mirrorfleet.runtime.cache import directory
from tests.record import ran_with

RELEASE = os.environ.get("MIRRORFLEET_CLAUDE") or proposed("claude")
"""The release to test; `mirrorfleet lock` and `mirrorfleet fetch` bring it into the cache."""


def package(release: str) -> Path:
    """Return the package of a release in the cache."""
    return directory() / f"npm/anthropic-ai-claude-code-linux-x64-{release}.tgz"


PACKAGE = package(RELEASE)
needed = pytest.mark.skipif(not PACKAGE.exists(), reason="the client is not in the cache")

# Variables of a developer's own shell, which must not reach the gateway.
SHELL = {
    "PATH": "/usr/bin:/bin",
    "ANTHROPIC_API_KEY": "sk-of-the-vendor",
    "ANTHROPIC_AUTH_TOKEN": "sk-of-another-gateway",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    # Otherwise the client refuses to skip permissions as root.
    "IS_SANDBOX": "1",
}

ESCAPES = re.compile(r"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>()][A-Z0-9]?")


@contextmanager
def unpacked(place: Path, release: str = RELEASE) -> Iterator[Path]:
    """Yield the client, and remove its 380 MB afterwards: pytest keeps its directories."""
    with tarfile.open(package(release)) as archive:
        archive.extract("package/claude", place, filter="data")
    ran_with("client", release)
    try:
        yield place / "package/claude"
    finally:
        (place / "package/claude").unlink()


def ask(
    home: Path, *command: str | Path, prompt: str = "Say something.", patience: float = 60
) -> str:
    """Send a prompt to the client of a home without a terminal; return its output."""
    done = subprocess.run(
        [*command, "-p", prompt],
        env=SHELL | {"HOME": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def on_terminal(home: Path, client: Path, prompt: str, enough: Callable[[str], bool]) -> str:
    """Start a session with a prompt; return its output once ``enough`` accepts it."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(home)
        shell = SHELL | {"HOME": str(home), "TERM": "xterm", "COLUMNS": "150", "LINES": "50"}
        os.execve(client, [str(client), prompt], shell)
    shown, end = b"", time.monotonic() + 60
    try:
        while time.monotonic() < end and not enough(_words(shown)):
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 65536)
    except OSError:
        pass  # the client has ended
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)
    return _words(shown)


def _words(shown: bytes) -> str:
    """Return the output of a terminal as plain words; a redrawn screen appears twice."""
    return " ".join(ESCAPES.sub(" ", shown.decode(errors="replace")).split())
