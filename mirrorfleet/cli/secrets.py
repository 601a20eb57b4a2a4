"""List the secrets of a fleet file on this machine, and make missing ones."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirrorfleet import fleet as fleets
from mirrorfleet.cli.command import Command
from mirrorfleet.cli.fleet_file import fleet_file

if TYPE_CHECKING:
    from mirrorfleet.jobs import secret_files


@click.command(
    "secrets",
    cls=Command,
    examples=(
        "mirrorfleet secrets inventories/prod.yml",
        "mirrorfleet secrets --create inventories/prod.yml",
    ),
)
@fleet_file
@click.option("--create", is_flag=True, help="Make missing files with random secrets.")
def command(file: str, *, create: bool) -> int:
    """List the secrets of a fleet file: where each is, and what another value brings about.

    Prints no value. With `--create`, writes each missing `{file: PATH}` that has no issuer: a
    random secret, readable by you only, and in .gitignore. An existing file is never changed.

    The exit code is 1 if a secret is missing. No host is contacted.
    """
    fleet = fleets.load(file)
    # This imports pyinfra, which takes a third of a second: `--help` does without.
    from mirrorfleet.jobs import secret_files

    try:
        found = list(secret_files.found(fleet, create=create))
        made = [secret_files.path_of(each.secret) for each in found if each.state == "made"]
        ignored = secret_files.ignore(fleet, made)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    for each in found:
        print(each)
    if ignored:
        print(f"{Path(file).parent / '.gitignore'}: added {', '.join(ignored)}")
    sys.stdout.flush()  # the list comes before its fixes, also in a pipe
    for line in _fixes(found, file):
        print(line, file=sys.stderr)
    return 1 if any(each.is_missing for each in found) else 0


def _fixes(found: list[secret_files.Found], file: str) -> Iterator[str]:
    """Yield what to do about the secrets that are missing, each kind of fix once."""
    missing = [each for each in found if each.is_missing]
    for each in missing:
        if each.state == "open to others":
            yield f"{each.secret}: other users can read it. Run: {_closing(each)}"
    if any(each.state == "missing" and each.kind.make for each in missing):
        yield (
            f"Make the missing files: mirrorfleet secrets --create {file}. If this fleet runs "
            "already, copy them from where they were made: others would replace its keys."
        )
    for each in missing:
        if each.state == "missing" and not each.kind.make:
            yield f"{each.secret}: write it into this file, and run: {_closing(each)}"
        elif each.state == "not set":
            made = ", or write {file: secrets/NAME} and let `--create` make it"
            yield f"{each.secret}: export {each.secret.value}=…{made if each.kind.make else ''}"


def _closing(found: secret_files.Found) -> str:
    path = found.secret.directory / Path(found.secret.value).expanduser()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"chmod 600 {shlex.quote(str(shown))}"
