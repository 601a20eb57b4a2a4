"""The course of the commands that only read hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirrorfleet.cli.live import session

if TYPE_CHECKING:
    from pyinfra.api import State

    from mirrorfleet.cli.live.inventory import Choose


def read(
    deploy: str,
    file: str,
    limit: Sequence[str],
    data: Mapping[str, Any],
    choose: Choose | None = None,
) -> int:
    """Run a read-only deploy of deploys/, which prints its report, and return the exit code.

    ``choose`` may refuse an option of the command, from the plans of all hosts. If no host is
    reached, pyinfra runs no deploy: a report for programs is written here.
    """
    session.start()
    # After the start: these import pyinfra.
    from rich.console import Console

    from mirrorfleet.cli.live.screen import Screen
    from mirrorfleet.jobs.status import table as status
    from mirrorfleet.jobs.verify import table as verify
    from mirrorfleet.runtime.intermittent import offline
    from mirrorfleet.runtime.readonly import unreachable, write

    # The report is on standard output.
    screen = Screen(Console(stderr=True, highlight=False))
    request = session.Request(Path(file), deploy, tuple(limit), data, choose=choose)
    with session.opened(request, screen) as state:
        code = session.run(state, request, screen)  # ends the program if the deploy ran
        if not state.activated_hosts and data.get("report") and deploy != "usage":
            lost, away = unreachable(state), offline(state)
            empty = {
                "status": status.report({}, lost, away),
                "verify": verify.report((), (), lost, away),
            }
            write(data["report"], json.dumps(empty[deploy], indent=1) + "\n")
        return code


@contextmanager
def connected(
    file: str, name: str, limit: Sequence[str], choose: Choose | None = None
) -> Iterator[State]:
    """Yield the state of a run whose hosts are connected, for a command without a deploy.

    ``choose`` returns the hosts that the command concerns. A host without a connection is on the
    screen. `session.start` comes before.
    """
    from pyinfra.api.connect import connect_all
    from pyinfra.api.exceptions import PyinfraError
    from pyinfra.api.state import StateStage
    from rich.console import Console

    from mirrorfleet.cli.live.screen import Screen

    screen = Screen(Console(stderr=True, highlight=False))
    request = session.Request(Path(file), name, tuple(limit), choose=choose)
    with session.opened(request, screen) as state:
        state.set_stage(StateStage.Connect)
        try:
            connect_all(state)
        except PyinfraError as error:
            if str(error) != "No hosts remaining!":  # each failure is on the screen already
                raise
        screen.now("reading the hosts")
        yield state
