"""Commands of `mirrorfleet` in the process of the tests: a process of their own takes 0.4 seconds.

Only for commands that contact no host: the others patch the standard library.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from mirrorfleet.cli.commands import LIVE
from mirrorfleet.cli.main import main
from mirrorfleet.runtime import secrets


def printed(arguments: list[str], directory: Path, environment: Mapping[str, str]) -> str:
    """Return what a command prints in a directory, errors where they occur."""
    output = io.StringIO()
    run(arguments, directory, environment, output, output)
    return output.getvalue()


def run(
    arguments: list[str],
    directory: Path,
    environment: Mapping[str, str],
    output: io.StringIO,
    errors: io.StringIO,
) -> int:
    """Run a command in a directory with this environment, and return its exit code."""
    assert arguments[0] not in LIVE, arguments
    # A process of its own has read no secrets before.
    secrets._reveal.cache_clear()
    secrets._reveal_text.cache_clear()
    with (
        patch.dict(os.environ, environment, clear=True),
        patch("sys.stdin", io.StringIO()),
        chdir(directory),
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        return main(arguments)
