"""The journals of all services of a fleet, as one list in the order of time: `mirrorfleet logs`.

This module reads hosts; `lines.py` is pure. No host is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api import Host

from mirrorfleet.jobs.logs.lines import ERROR, Entry, parse
from mirrorfleet.runtime.observe import TIMEOUT, read_host
from mirrorfleet.runtime.shell import shell

SCRIPT = Path(__file__).parent / "read_journal.sh"


@dataclass(frozen=True)
class Selection:
    """Which lines of the journals to read.

    ``since`` is a time as journalctl knows it, ``services`` are patterns of names such as
    "vllm-*"; empty: all. ``lines`` is the most that one host returns. ``text`` is a regular
    expression of journalctl, "" for all lines. With ``errors``: what is an error by its level or,
    as most services write all lines with one level, by its words.
    """

    since: str = "-1h"
    services: Sequence[str] = ()
    lines: int = 200
    text: str = ""
    errors: bool = False


def read(host: Host, selection: Selection, after: Mapping[str, str]) -> list[Entry]:
    """Return the latest lines of a host, in one exec: behind its cursor, if ``after`` has one.

    Raises ``DeployError`` if the host cannot be read, ``ValueError`` if journalctl refuses.
    """
    script = shell(
        SCRIPT,
        units=" ".join(f"mirrorfleet-{name}.service" for name in selection.services or ("*",)),
        since=selection.since,
        after=after.get(host.name, ""),
        lines=str(selection.lines),
        priority="err" if selection.errors else "",
        text=ERROR if selection.errors else selection.text,
    )
    return parse(host.name, read_host(host, script, TIMEOUT))[-selection.lines :]
