"""The course of each command that changes hosts: read, print the changes, ask, change, report."""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirrorfleet.cli.live import options, session

if TYPE_CHECKING:
    from pyinfra.api import State

    from mirrorfleet.cli.live.inventory import Choose
    from mirrorfleet.cli.live.outcome import Outcome

PENDING = 3
"""The exit code of `plan --exit-code` if something would change."""


def change(
    deploy: str,
    file: str,
    limit: Sequence[str],
    *,
    data: Mapping[str, Any] | None = None,
    diff: bool = False,
    yes: bool = False,
    only_show: bool = False,
    as_json: bool = False,
    choose: Choose | None = None,
) -> int:
    """Run a deploy of deploys/ that changes hosts, and return the exit code.

    ``choose`` names the hosts that the command concerns, from their plans. Without ``yes`` the user
    is asked on a terminal; with ``only_show`` nothing is changed. Returns 1 if a host failed, was
    skipped or was not reached; `PENDING` if ``only_show`` found changes.
    """
    asks = not yes and not only_show
    if asks and (as_json or not sys.stdin.isatty()):
        raise click.UsageError(
            "this changes hosts, and asks first, which needs a terminal: add `--yes`, or use "
            "`mirrorfleet plan` to see the changes."
        )
    session.start()
    # After the start: these import pyinfra.
    from rich.console import Console

    from mirrorfleet import terminal
    from mirrorfleet.cli.live import outcome
    from mirrorfleet.cli.live.screen import Screen

    console = Console(stderr=True, highlight=False) if as_json else terminal.console()
    screen = Screen(console)
    found: tuple[Outcome, ...] = ()
    shown = applied = False

    def confirm(state: State) -> bool:
        nonlocal found, shown, applied
        shown = True
        found = outcome.outcomes(state, screen.causes, applied=False)
        is_pending = any(each.state == "pending" for each in found)
        applied = not only_show and (yes or not is_pending or _asked(screen))
        return applied

    request = session.Request(
        Path(file), deploy, tuple(limit), data, diff, only_show, confirm, choose
    )
    with session.opened(request, screen) as state:
        try:
            code = session.run(state, request, screen)
        except KeyboardInterrupt:
            if applied:
                _continues(screen, file)
            raise
        found = outcome.outcomes(state, screen.causes, applied=applied)
    if as_json:
        print(json.dumps(outcome.report(found), indent=1))
    elif code or applied:
        for line in outcome.lines(found, causes=shown):
            screen.line(line, "red" if code else "green")
        if code:
            command = [*click.get_current_context().command_path.split(), file]
            screen.line("Remove the cause, then continue:")
            # Of a run that stopped before its changes, no host is done.
            failed = outcome.failed(found) if applied or (only_show and shown) else ()
            screen.command([*command, *options.given(failed)])
    if code == 0 and only_show and any(each.state == "pending" for each in found):
        return PENDING
    return code


def _continues(screen: Any, file: str) -> None:
    """Say what an interrupted run leaves behind, and how to continue."""
    screen.end()
    screen.line(
        "Interrupted: some hosts have changed, and a step that runs now on a host runs to its end. "
        "Continue, which waits for such a step:"
    )
    screen.command([*click.get_current_context().command_path.split(), file, *options.given()])


def _asked(screen: Any) -> bool:
    screen.end()
    click.echo("Make these changes? [y/N]: ", nl=False)
    # gevent's: during `input`, hosts would get no sign of life, and let another run change them.
    select.select([sys.stdin], [], [])
    return click.confirm("", prompt_suffix="", default=False, show_default=False)
