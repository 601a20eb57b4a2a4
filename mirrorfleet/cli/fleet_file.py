"""Which fleet file a command is for: its argument, $MIRRORFLEET_FILE, or the only one there is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from mirrorfleet.data import load_typed

VARIABLE = "MIRRORFLEET_FILE"
FOLDERS = (Path(), Path("inventories"))
SUFFIXES = (".yml", ".yaml")
OTHERWISE = f"${VARIABLE}, or the only one in . and inventories/"

# Read as text: a file that is not valid YAML is found too, and the command reports its mistakes.
_VERSION = re.compile(r"^version\s*:\s*1\s*(#.*)?$", re.MULTILINE)
_INCLUDE = re.compile(r"^include\s*:.*\n?(?:(?:[ \t#-].*)?\n)*(?:[ \t#-].*)?", re.MULTILINE)


def fleet_file(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the argument FILE, as the parameter ``file``."""
    return click.argument(
        "file",
        metavar="[FILE]",
        required=False,
        type=click.Path(),
        callback=_one,
        help=f"The fleet file. Default: {OTHERWISE}.",
    )(function)


def _one(ctx: click.Context, _: click.Parameter, value: str | None) -> str:
    # A command line that is being completed may be without it.
    if ctx.resilient_parsing:
        return value or ""
    if not value:
        return default(ctx.command_path)
    path = Path(value)
    if path.is_dir():
        raise click.UsageError(
            f"{value} is a directory: name the fleet file, as in `{ctx.command_path} FILE`."
        )
    if path.suffix == ".py" and path.with_suffix(".yml").is_file():
        raise click.UsageError(
            f"{value} is the inventory module: name the fleet file, "
            f"as in `{ctx.command_path} {path.with_suffix('.yml')}`."
        )
    return value


def default(command: str) -> str:
    """Return the fleet file of a command that names none. Raises ``UsageError`` without one."""
    if file := os.environ.get(VARIABLE):
        if not Path(file).exists():
            raise click.UsageError(
                f"${VARIABLE} is '{file}', which does not exist: correct it, or `unset {VARIABLE}`."
            )
        return file
    found = fleets()
    if not found:
        raise click.UsageError(
            "no file in . or inventories/ has 'version: 1': "
            f"name the fleet file, as in `{command} FILE`, or write one: `mirrorfleet init`, or "
            "for this machine alone `mirrorfleet init --local`."
        )
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise click.UsageError(
            f"{len(found)} fleet files are here ({names}): name one, as in `{command} {found[0]}`."
        )
    return str(found[0])


class _Outline(NamedTuple):
    """What a YAML file says at its top level: `version: 1`, and the files that it includes."""

    versioned: bool
    includes: tuple[Path, ...]


def fleets() -> list[Path]:
    """Return the fleet files of the current directory and of inventories/, by folder and name.

    A fleet file has `version: 1`, itself or by what it includes. A base, which another of these
    files includes, is left out.
    """
    files = [path for folder in FOLDERS for path in _files(folder)]
    outlines = {path.resolve(): _outline(path) for path in files}
    bases = {
        included
        for path, outline in outlines.items()
        for included in outline.includes
        if included != path
    }
    return [
        path
        for path in files
        if path.resolve() not in bases and _is_fleet(path.resolve(), outlines)
    ]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def _is_fleet(path: Path, outlines: dict[Path, _Outline]) -> bool:
    """Return whether a file or one that it includes, at any depth, has `version: 1`."""
    waiting, done = [path], set[Path]()
    while waiting:
        at = waiting.pop()
        if at in done:
            continue
        done.add(at)
        outline = outlines[at] if at in outlines else _outline(at)
        if outline.versioned:
            return True
        waiting += outline.includes
    return False


def _outline(path: Path) -> _Outline:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return _Outline(False, ())
    return _Outline(_VERSION.search(text) is not None, tuple(_included(path, text)))


def _included(path: Path, text: str) -> Iterator[Path]:
    if not (match := _INCLUDE.search(text)):
        return
    try:
        names: Any = load_typed(match[0])["include"]
    except yaml.YAMLError:
        return
    for name in names if isinstance(names, list) else [names]:
        if isinstance(name, str) and "\0" not in name:
            yield (path.parent / name).resolve()
