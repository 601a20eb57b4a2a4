"""The course of each command that only reads hosts and prints a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mirrorfleet.cli.live import session


def read(deploy: str, file: str, limit: Sequence[str], data: Mapping[str, Any]) -> int:
    """Run a read-only deploy of deploys/, which prints its report, and return the exit code.

    If no host is reached, pyinfra runs no deploy: a report for programs is written here.
    """
    session.start()
    # After the start: these import pyinfra.
    from rich.console import Console

    from mirrorfleet.cli.live.screen import Screen
    from mirrorfleet.jobs.status import table as status
    from mirrorfleet.jobs.verify import table as verify
    from mirrorfleet.runtime.readonly import unreachable, write

    # The report is on standard output.
    screen = Screen(Console(stderr=True, highlight=False))
    request = session.Request(Path(file), deploy, tuple(limit), data)
    with session.opened(request, screen) as state:
        code = session.run(state, request, screen)  # ends the program if the deploy ran
        if not state.activated_hosts and data.get("report"):
            lost = unreachable(state)
            empty = {"status": status.report({}, lost), "verify": verify.report((), (), lost)}
            write(data["report"], json.dumps(empty[deploy], indent=1) + "\n")
        return code
