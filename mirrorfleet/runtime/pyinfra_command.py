"""What pyinfra's own command would let pass: checked when it reads the inventory module.

A `--limit` that matches no host, and an interrupted run, would end with exit code 0. Without a
terminal and without `-y`, a run would end with a traceback after all hosts were read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click

from mirrorfleet.config.problems import did_you_mean
from mirrorfleet.runtime.interrupt import at_ctrl_c

READ_ONLY = ("status.py", "usage.py", "verify.py")
"""Deploys that change nothing, so that pyinfra asks nothing."""


def check(hosts: Iterable[str], labels: Iterable[str]) -> None:
    """Check the options of pyinfra's command, and make Ctrl-C end it with 130.

    Does nothing outside of that command. Raises ``SystemExit`` with 2 for a misuse.
    """
    if not (options := _options()):
        return
    at_ctrl_c(_interrupted)
    known = [*hosts, *labels]
    for pattern in options["limit"] or ():
        if not any(fnmatch(name, pattern) for name in known):
            hint = did_you_mean(pattern, known) or f"Known here: {', '.join(known)}."
            _end(f"no host matches --limit {pattern}. {hint}")
    asks = not (options["yes"] or options["dry"] or options["json_output"])
    names = [Path(str(operation)).name for operation in options["operations"]]
    changes = any(name.endswith(".py") and name not in READ_ONLY for name in names)
    if asks and changes and not sys.stdin.isatty():
        _end("pyinfra asks before it changes hosts, which needs a terminal: add -y, or --dry")


def connects_to_none(known: Sequence[str]) -> bool:
    """Return whether a command contacts no host: `debug-inventory`, or no host is in `--limit`."""
    if "debug-inventory" in sys.argv:
        return True
    context = click.get_current_context(silent=True)
    given = (context.params.get("limit") if context else None) or ()
    words = [word.strip() for pattern in given for word in pattern.split(",")]
    return any(not any(fnmatch(name, word) for name in known) for word in words)


def is_dry() -> bool:
    """Return whether this run shows its changes only."""
    return bool(_options().get("dry"))


def _options() -> Mapping[str, Any]:
    """Return the options of pyinfra's command, if it runs."""
    context = click.get_current_context(silent=True)
    is_pyinfra = context is not None and "operations" in context.params
    return context.params if context and is_pyinfra else {}


def _interrupted() -> SystemExit:
    print("interrupted: run again to continue", file=sys.stderr)
    return SystemExit(130)


def _end(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
