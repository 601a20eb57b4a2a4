"""What a run will change on each host, named one by one before the first change, and its diffs."""

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
    """One thing that a run will change, in the words of a person.

    For ``--diff``: ``new`` is the text that a file will have, and ``old`` the path on the host of
    the text before it, unless ``before`` has that text. Of a file with ``values_hidden``, lines of
    NAME=value, only the names are shown.
    """

    what: str
    new: str | None = None
    old: str = ""
    before: str | None = None
    values_hidden: bool = False


def facts(changes: Sequence[Change]) -> list[Fact[Any]]:
    """Return what else must be asked of a host to show the changes with their diffs."""
    return [
        Content(change.old)
        for change in changes
        if change.new is not None and change.before is None
    ]


def print_changes(
    host: Host, changes: Sequence[Change], found: Observation | None, *, with_diff: bool
) -> None:
    """Print a host's changes, and their diffs with the contents ``found`` just now."""
    if not changes:
        host.log("is as it should be", logger.info)
    for change in changes:
        host.log(change.what, logger.info)
        if with_diff and change.new is not None:
            before = _before(change, found)
            for line in difference(before, change.new, change.values_hidden):
                logger.info("      %s", line)


def _before(change: Change, found: Observation | None) -> str:
    if change.before is not None:
        return change.before
    content = found[Content(change.old)] if found else None
    return (content or b"").decode(errors="replace")
