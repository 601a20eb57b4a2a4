"""Pure: the changes of a run in few lines: hosts that change alike share a block.

On a first run, dozens of files are missing on a host. They are counted by kind, one line per role.
Files in the homes of several users are one line with their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mirrorfleet.runtime.report import Change

MISSING = " is missing"
FEW = 3
"""Most missing things of a role that are listed one by one."""

_HOME = re.compile(r"^~([^/\s]+)/")


@dataclass(frozen=True)
class Block:
    """Hosts with the same changes, and these changes as sentences.

    Sentences of several hosts do not name the users, which differ.
    """

    hosts: tuple[str, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """The changes of all hosts: blocks in the order of the inventory, and hosts without changes."""

    blocks: tuple[Block, ...]
    unchanged: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the hosts that change."""
        return tuple(host for block in self.blocks for host in block.hosts)

    def __str__(self) -> str:
        """Return the last line of a report."""
        number, every = len(self.changed), len(self.changed) + len(self.unchanged)
        if not number:
            return f"No changes on {_hosts(every)}."
        return f"{number} of {_hosts(every)} will change."


def summary(changes: Mapping[str, Sequence[tuple[str, Change]]]) -> Summary:
    """Return the summary of changes, given by host, each with the title of its role."""
    hosts_of: dict[tuple[str, ...], list[str]] = {}
    for host, found in changes.items():
        hosts_of.setdefault(tuple(_sentences(found, named=False)), []).append(host)
    unchanged = hosts_of.pop((), [])
    blocks = []
    for sentences, hosts in hosts_of.items():
        if len(hosts) == 1:
            sentences = tuple(_sentences(changes[hosts[0]], named=True))
        blocks.append(Block(tuple(hosts), sentences))
    return Summary(tuple(blocks), tuple(unchanged))


def lines(changes: Mapping[str, Sequence[tuple[str, Change]]]) -> Iterator[str]:
    """Yield the report: hosts, below them their changes, and a last line with the numbers."""
    found = summary(changes)
    for block in found.blocks:
        yield some(block.hosts)
        yield from (f"    {sentence}" for sentence in block.sentences)
    yield str(found)


def some(names: Sequence[str], most: int = 4) -> str:
    """Return the names; of more than ``most``, the first ones and the number of the others."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def _sentences(changes: Sequence[tuple[str, Change]], *, named: bool) -> Iterator[str]:
    """Yield the changes of one host: what others changed there first, then by role.

    ``named``: name the user of a home, if there is only one.
    """
    for _, change in changes:
        if change.by_hand:
            yield f"changed on the host: {change.what}"
    by_role: dict[str, list[str]] = {}
    for title, change in changes:
        if not change.by_hand:
            by_role.setdefault(title, []).append(change.what)
    for title, found in by_role.items():
        missing = [what.removesuffix(MISSING) for what in found if what.endswith(MISSING)]
        if len(missing) > FEW:
            yield f"{title}: new: {_counted(missing)}"
            found = [what for what in found if not what.endswith(MISSING)]
        yield from (f"{title}: {what}" for what in _in_homes(found, named=named))


def _in_homes(found: Iterable[str], *, named: bool) -> Iterator[str]:
    """Yield sentences; those about the same file in several homes as one."""
    alike: dict[str, list[str]] = {}
    for what in found:
        alike.setdefault(_HOME.sub("~/", what), []).append(what)
    for what, each in alike.items():
        if len(each) > 1:
            yield f"{len(each)} homes: {what}"
        else:
            yield each[0] if named else what


def _counted(missing: Sequence[str]) -> str:
    """Return missing things by kind: packages and users by name, all others by number."""
    packages, users = _named("package", missing), _named("user", missing)
    files = len(missing) - len(packages) - len(users)
    parts = {
        f"{'package' if len(packages) == 1 else 'packages'} {some(packages)}": packages,
        f"system user {some(users)}": users,
        f"{files} {'file' if files == 1 else 'files'}": files,
    }
    return ", ".join(part for part, present in parts.items() if present)


def _named(kind: str, missing: Iterable[str]) -> list[str]:
    return [thing.removeprefix(f"{kind} ") for thing in missing if thing.startswith(f"{kind} ")]


def _hosts(number: int) -> str:
    return f"{number} host" if number == 1 else f"{number} hosts"
