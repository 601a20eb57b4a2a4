"""The keys of the gateways and their holders: mirrorfleet keys FILE"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

from pyinfra.api.exceptions import DeployError
from rich.table import Table

from mirrorfleet import fleet, terminal
from mirrorfleet.config.problems import did_you_mean
from mirrorfleet.planning import DerivedKey, KeyPlan
from mirrorfleet.planning.keys import keys
from mirrorfleet.runtime.secrets import Guessable, reveal


def main(path: str, name: str | None, pipe: bool) -> int:
    """Print a table of a fleet's keys, or one holder's key. Return the exit code."""
    found = {key.name: key for key in keys(fleet.load(path))}
    try:
        if name is None:
            _table(found.values())
            return 0
        if name not in found:
            return _refused(f"No key has the name '{name}'. {did_you_mean(name, found)}".rstrip())
        if not pipe and not sys.stdout.isatty():
            return _refused(
                "A key is printed on a terminal only: add --pipe to print it elsewhere."
            )
        print(reveal(found[name].key))
    except DeployError as error:
        return _refused(_sentence(str(error)))
    return 0


def _refused(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]


def _table(found: Iterable[KeyPlan]) -> None:
    console = terminal.console()
    table = Table()
    for column in ("name", "group", "rotation", "opens", "until", "on", "sha256"):
        table.add_column(column, overflow="fold")
    missing = dict[str, None]()
    for key in found:
        try:
            digest = sha256(reveal(key.key).encode()).hexdigest()[:12]
        except Guessable:
            raise
        except DeployError as error:
            missing[str(error)] = None
            digest = "?"
        table.add_row(
            key.name,
            key.group,
            ".".join(map(str, key.key.rotation)) if isinstance(key.key, DerivedKey) else "-",
            ", ".join(key.models) or "all",
            _until(key),
            ", ".join(host or "a package" for host in key.hosts),
            digest,
        )
    console.print(table)
    for reason in missing:
        print(_sentence(reason), file=sys.stderr)


def _until(key: KeyPlan) -> str:
    if key.revoked:
        return "revoked"
    if not key.expires:
        return "-"
    return f"{key.expires}, expired" if key.expires < f"{datetime.now(UTC):%F}" else key.expires
