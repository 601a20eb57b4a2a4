"""The changes of a run on each host, with the difference of each text for `--diff`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyinfra import logger
from pyinfra.api import Host

from mirrorfleet.runtime.diff import difference
from mirrorfleet.runtime.facts import Content, Fact
from mirrorfleet.runtime.observe import Observation


@dataclass(frozen=True)
class Change:
    """One change of a run, described by the sentence ``what``.

    For ``--diff``: ``new`` is the new text of a file. Its present text is ``before``, or else is
    read from the path ``old`` on the host. With ``values_hidden``, the file has lines of
    NAME=value, and the diff shows only the names. ``by_hand``: another program or a person changed
    what a run had written.
    """

    what: str
    new: str | None = None
    old: str = ""
    before: str | None = None
    values_hidden: bool = False
    by_hand: bool = False


def facts(changes: Sequence[Change]) -> list[Fact[Any]]:
    """Return the facts that the diffs of changes need."""
    return [
        Content(change.old)
        for change in changes
        if change.new is not None and change.before is None
    ]


def print_differences(host: Host, changes: Sequence[Change], found: Observation | None) -> None:
    """Print a host's changes with their diffs; ``found`` has the present contents."""
    if not changes:
        host.log("no changes", logger.info)
    for change in changes:
        host.log(change.what, logger.info)
        if change.new is not None:
            before = _before(change, found)
            for line in difference(before, change.new, change.values_hidden):
                logger.info("      %s", line)


def _before(change: Change, found: Observation | None) -> str:
    if change.before is not None:
        return change.before
    content = found[Content(change.old)] if found else None
    return (content or b"").decode(errors="replace")
