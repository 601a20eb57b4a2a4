"""A Python of Mirrorfleet's for hosts whose own is too old for LiteLLM or vLLM.

python-build-standalone builds it; it needs nothing of the host but glibc 2.17. The controller
downloads it, checks its SHA-256, and sends it with the wheels of an environment.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pyinfra.api.exceptions import DeployError

from mirrorfleet.runtime.download import download

LOCK = Path(__file__).parent / "locks" / "python.json"

NAME = "python.tar.gz"
"""Its name among the wheels of an environment: build_environment.sh unpacks it."""

MIRROR = "UV_PYTHON_INSTALL_MIRROR"
"""uv's variable with another place of the archives: a company's mirror, or a ``file://`` URL."""

SIZE = 50 * 10**6
"""Minimum size in bytes on the host: that of CPython's standard library, compiled."""


def version() -> str:
    """Return the version of this Python, such as "3.11.17"."""
    return str(_lock()["version"])


def fetch(architecture: str) -> Path:
    """Download the archive for an architecture of a host, and return its path.

    Raises ``DeployError`` if there is none, or if it cannot be downloaded.
    """
    archives = _lock()["archives"]
    if architecture not in archives:
        raise DeployError(
            f"Python {version()} for hosts whose Python is too old is known for "
            f"{' and '.join(archives)} only; this host is {architecture}."
        )
    archive = archives[architecture]
    source = os.environ.get(MIRROR) or f"{_lock()['source']}/releases/download"
    name = f"python/{unquote(archive['path'].rpartition('/')[2])}"
    try:
        return download(
            f"Python {version()}",
            f"{source.rstrip('/')}/{archive['path']}",
            archive["sha256"],
            name,
        )
    except DeployError as error:
        raise DeployError(
            f"{error}\n"
            f"    A host's own Python is too old, so it needs this one. Set {MIRROR} to a mirror "
            f"of {_lock()['source']}/releases/download, or upgrade the host."
        ) from None


@cache
def _lock() -> dict[str, Any]:
    lock: dict[str, Any] = json.loads(LOCK.read_text("utf-8"))
    return lock
