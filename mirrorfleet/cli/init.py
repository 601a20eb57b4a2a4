"""Write a fleet file to start from, and its pyinfra face."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from mirrorfleet.cli import Commands
from mirrorfleet.config.schema import SCHEMA

STARTER = Path(__file__).parents[1] / "data" / "starter.yml"

FACE = '''\
"""The pyinfra face of {name}.yml: its hosts, and a group for each label."""

from mirrorfleet.runtime.inventory import groups

globals().update(groups(__file__))
'''


def declare(commands: Commands) -> None:
    parser = commands.add_parser("init", help="write a commented fleet file to start from")
    parser.add_argument("file", type=Path, metavar="FILE", help="such as inventories/team.yml")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Write both files, unless one is there already."""
    file: Path = chosen.file
    name = file.stem
    if file.suffix != ".yml" or not re.fullmatch("[a-z0-9][a-z0-9-]*", name):
        print(f"{file}: call it such as team.yml: lower case, and .yml", file=sys.stderr)
        return 1
    schema = os.path.relpath(SCHEMA, file.resolve().parent)
    starter = STARTER.read_text(encoding="utf-8").replace("SCHEMA", schema).replace("NAME", name)
    contents = {file: starter, file.with_suffix(".py"): FACE.format(name=name)}
    for path in contents:
        if path.exists():
            print(f"{path}: is there already; nothing was written", file=sys.stderr)
            return 1
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            path.write_text(content, encoding="utf-8")
            print(f"{path}: written")
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"Put your machines in, then: mirrorfleet check {file}")
    return 0
