"""The hosts of a live command: from the inventory module beside the fleet file, or the file alone.

The module may register own roles and engines, and add data. Without one, the fleet file suffices.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
from pyinfra.api import Host, Inventory

from mirrorfleet.config.problems import did_you_mean
from mirrorfleet.planning import HostPlan
from mirrorfleet.runtime.inventory import groups


def inventory(file: Path, data: Mapping[str, Any]) -> Inventory:
    """Return pyinfra's inventory of a fleet file. ``data`` overrides the data of all hosts.

    A fleet file with mistakes raises ``SystemExit`` with all of them.
    """
    from pyinfra_cli.inventory import make_inventory_from_files

    module = file.with_suffix(".py")
    if module.exists():
        with _without_bytecode():
            made: Inventory = make_inventory_from_files(str(module), data, str(Path.cwd()))
        return made
    found = groups(module)
    hosts, labels = found.pop("hosts"), found
    return Inventory(  # type: ignore[no-untyped-call]
        (hosts, {}), override_data=data, **{label: (names, {}) for label, names in labels.items()}
    )


@contextmanager
def _without_bytecode() -> Iterator[None]:
    """Write no __pycache__ beside the modules that an inventory module imports."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


Choose = Callable[[Mapping[str, HostPlan]], Sequence[str] | None]


def chosen(
    inventory: Inventory, patterns: Sequence[str], choose: Choose | None = None
) -> list[Host] | None:
    """Return the hosts of a command: of those in ``--limit``, those that it concerns.

    ``None`` stands for all hosts. Raises ``UsageError`` if none is left.
    """
    found = _limited(inventory, patterns)
    names = choose({host.name: host.data.plan for host in inventory}) if choose else None
    if names is None:
        return found
    left = [host for host in found or inventory if host.name in names]
    if not left:
        hint = f"It concerns {', '.join(names)}."
        raise click.UsageError(f"`--limit {','.join(patterns)}` leaves no host. {hint}")
    return left


def _limited(inventory: Inventory, patterns: Sequence[str]) -> list[Host] | None:
    """Return the hosts that ``--limit`` names: hosts, labels, or patterns such as ``gw-*``.

    Several are separated by commas. ``None`` stands for all hosts. Raises ``UsageError`` for a
    pattern that matches none.
    """
    if not patterns:
        return None
    words = [word.strip() for pattern in patterns for word in pattern.split(",") if word.strip()]
    if not words:
        raise click.UsageError("`--limit` names no host: add its name, as in `--limit gw-a`.")
    names = {host.name for word in words for host in _matching(inventory, word)}
    return [host for host in inventory if host.name in names]


def _matching(inventory: Inventory, word: str) -> Iterable[Host]:
    if word in inventory.groups:
        found: list[Host] = inventory.get_group(word)
        return found
    hosts = [host for host in inventory if fnmatch(host.name, word)]
    if not hosts:
        known = [host.name for host in inventory] + sorted(inventory.groups)
        hint = did_you_mean(word, known) or f"Hosts and labels: {', '.join(known)}."
        raise click.UsageError(f"no host matches `--limit {word}`. {hint}")
    return hosts
