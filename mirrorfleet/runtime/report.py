"""What a run will change on each host, named one by one before the first change, and its diffs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyinfra import logger
from pyinfra.api import Host

from mirrorfleet.runtime.diff import difference
from mirrorfleet.runtime.observe import Question
from mirrorfleet.runtime.run import Part


class Doubt(str):
    """What may yet go wrong on a host, among its refusals: told, and the run goes on."""


class Skipped(str):
    """What one developer's home lacks, among the refusals of its host: reported, and skipped.

    The rest of the run goes on, and its exit code is 1.
    """


class Lacking(str):
    """What one host lacks for a ``part`` of its plan, among its refusals: that part is skipped.

    So is what newly needs it. The rest of the run goes on, and its exit code is 1.
    """

    part: Part

    def __new__(cls, why: str, part: Part) -> Lacking:
        made = super().__new__(cls, why)
        made.part = part
        return made


def lacking(part: Part, whys: Iterable[str]) -> Iterator[str]:
    """Yield reasons against a plan as what one host lacks for a part of it."""
    for why in whys:
        yield why if isinstance(why, Doubt | Skipped) else Lacking(why, part)


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


def questions(changes: Sequence[Change]) -> list[Question]:
    """Return what else must be asked of a host to show the changes with their diffs."""
    return [
        ("content", change.old)
        for change in changes
        if change.new is not None and change.before is None
    ]


def tell(
    host: Host, changes: Sequence[Change], contents: Mapping[str, bytes], *, with_diff: bool
) -> None:
    """Print a host's changes, and their diffs with the ``contents`` that files have by now."""
    if not changes:
        host.log("is as it should be", logger.info)
    for change in changes:
        host.log(change.what, logger.info)
        if with_diff and change.new is not None:
            before = _before(change, contents)
            for line in difference(before, change.new, change.values_hidden):
                logger.info("      %s", line)


def _before(change: Change, contents: Mapping[str, bytes]) -> str:
    if change.before is not None:
        return change.before
    return contents.get(change.old, b"").decode(errors="replace")
