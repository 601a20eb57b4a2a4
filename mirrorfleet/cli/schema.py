"""Print the schema of fleet files, or a page of docs/ that is made from data of this package."""

from __future__ import annotations

import argparse

from mirrorfleet.cli import Commands
from mirrorfleet.cli.pages import families, reference
from mirrorfleet.config.schema import SCHEMA


def declare(commands: Commands) -> None:
    parser = commands.add_parser("schema", help="print the JSON schema of fleet files")
    parser.add_argument(
        "--reference", action="store_true", help="print docs/reference/fleet-file.md instead"
    )
    parser.add_argument(
        "--families", action="store_true", help="print docs/reference/models.md instead"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    if chosen.families:
        text = families.markdown()
    else:
        text = reference.markdown() if chosen.reference else SCHEMA.read_text(encoding="utf-8")
    print(text, end="")
    return 0
